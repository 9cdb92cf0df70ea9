import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

const NAME = "headrace.kept//edits";

let tab: FakeTab;
beforeEach(() => {
  tab = openTab();
  vi.resetModules();
});
afterEach(() => void vi.unstubAllGlobals());

/** The edits of the tab's page, loaded again. */
async function loaded() {
  vi.resetModules();
  tab = openTab("/", { session: tab.session });
  return (await import("../../src/state/edits")).edits;
}

const stored = (id: string) => ({ id, key: "m1" });
const unsent = { id: null, key: "m1" };

test("what is being edited is being edited when the page is loaded again, until it is sent", async () => {
  const first = await loaded();
  first.set(stored("one"), "edited");
  first.set(stored("two"), "");
  const again = await loaded();
  expect(again.get(stored("one"))).toBe("edited");
  expect(again.get(stored("two"))).toBe(""); // an editor that was emptied stays open

  again.remove(stored("one"));
  again.remove(stored("two"));

  expect(again.get(stored("one"))).toBeUndefined();
  expect(tab.session.items.size).toBe(0);
});

test("a question that was never stored is edited until the page is left", async () => {
  const edits = await loaded();
  edits.set(unsent, "edited");
  expect(edits.get(unsent)).toBe("edited");

  expect((await loaded()).get(unsent)).toBeUndefined();
  edits.remove(unsent);
  expect(edits.get(unsent)).toBeUndefined();
});

test("only so many are kept, and of these the newest", async () => {
  const edits = await loaded();
  for (let number = 0; number < 22; number++) edits.set(stored(`q${number}`), "edited");

  const again = await loaded();

  expect(["q1", "q2", "q21"].map((id) => again.get(stored(id)))).toEqual([
    undefined,
    "edited",
    "edited",
  ]);
});

test.each(["garbage", "{}", '[1,["one"],["one",1],["one","1","2"],null]'])(
  "%j in their place is none",
  async (damaged) => {
    tab.session.setItem(NAME, damaged);

    expect((await loaded()).get(stored("one"))).toBeUndefined();
  },
);

test("another user edits nothing of a user's", async () => {
  tab.session.setItem("headrace.kept/alice/edits", '[["one","hers"]]');
  const edits = await loaded();
  const { user } = await import("../../src/state/session");

  user.value = "bob";
  expect(edits.get(stored("one"))).toBeUndefined();
  user.value = "alice";

  expect(edits.get(stored("one"))).toBe("hers");
});
