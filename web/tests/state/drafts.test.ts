import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { computed } from "vue";
import {
  changeElsewhere,
  FakeStorage,
  ForbiddenStorage,
  openTab,
  type FakeTab,
} from "./fakeBrowser";

let tab: FakeTab;
beforeEach(() => {
  vi.resetModules();
  tab = openTab();
});
afterEach(() => void vi.unstubAllGlobals());
afterEach(() => void vi.useRealTimers());

const loaded = async () => (await import("../../src/state/drafts")).drafts;

/** The drafts of a page that is loaded again, or in another tab. */
async function loadedAgain(options: Partial<FakeTab> = { local: tab.local }) {
  vi.resetModules();
  tab = openTab("/", options);
  return loaded();
}

test("each conversation has a draft of its own, and the new one, too", async () => {
  const drafts = await loaded();
  const shown = computed(() => ["one", "two", null].map((id) => drafts.read("question", id)));
  expect(shown.value).toEqual(["", "", ""]);

  drafts.write("question", "one", "1");
  drafts.write("question", null, "new");
  drafts.write("system", null, "Be brief.");

  expect(shown.value).toEqual(["1", "", "new"]);
  expect(drafts.read("system", null)).toBe("Be brief.");
});

test("drafts are there again when the page is loaded, until they are sent", async () => {
  (await loaded()).write("question", "one", "half a question");
  const drafts = await loadedAgain();
  expect(drafts.read("question", "one")).toBe("half a question");

  drafts.write("question", "one", "");

  expect(tab.local.items.size).toBe(0);
  expect((await loadedAgain()).read("question", "one")).toBe("");
});

test("another tab shows what is written in this one, and sends nothing back", async () => {
  const drafts = await loaded();
  const shown = computed(() => drafts.read("question", "one"));
  drafts.write("question", "one", "a");
  const [[key = ""] = []] = tab.local.items;
  const setItem = vi.spyOn(tab.local, "setItem");

  changeElsewhere(tab, key, JSON.stringify({ text: "ab", at: 1 }));
  expect(shown.value).toBe("ab");
  changeElsewhere(tab, key, null);

  expect(shown.value).toBe("");
  expect(setItem).toHaveBeenCalledOnce(); // by the other tab
});

test("a user gets no draft of another one's, and has their own again", async () => {
  const drafts = await loaded();
  const { user } = await import("../../src/state/session");
  const shown = computed(() => drafts.read("question", null));
  user.value = "alice";
  drafts.write("question", null, "hers");
  user.value = "bob";
  expect(shown.value).toBe("");
  drafts.write("question", null, "his");

  user.value = "alice";

  expect(shown.value).toBe("hers");
});

test.each(["garbage", "null", '{"text":1,"at":1}', '{"text":"x"}', "[]"])(
  "%j in place of a draft is an empty draft",
  async (damaged) => {
    (await loaded()).write("question", "one", "a");
    const [[key = ""] = []] = tab.local.items;
    tab.local.setItem(key, damaged);

    expect((await loadedAgain()).read("question", "one")).toBe("");
  },
);

test("what follows a first question moves to the conversation that it started", async () => {
  const drafts = await loaded();
  drafts.write("question", null, "And then?");

  drafts.moveNewTo("one");

  expect(drafts.read("question", null)).toBe("");
  expect(drafts.read("question", "one")).toBe("And then?");
});

test("what another tab has begun meanwhile stays in the new conversation", async () => {
  const drafts = await loaded();
  drafts.write("question", null, "mine");
  const [[key = ""] = []] = tab.local.items;
  changeElsewhere(tab, key, JSON.stringify({ text: "Another beginning", at: 1 }));

  drafts.moveNewTo("one");

  expect(drafts.read("question", null)).toBe("Another beginning");
  expect(drafts.read("question", "one")).toBe("");
});

test("a question that was not sent stands before what was written since", async () => {
  const drafts = await loaded();
  drafts.putBack("one", "First");
  drafts.write("question", "two", "Next");

  drafts.putBack("two", "First");

  expect(drafts.read("question", "one")).toBe("First");
  expect(drafts.read("question", "two")).toBe("First\n\nNext");
});

test("a deleted conversation leaves no draft, and takes no other's", async () => {
  const drafts = await loaded();
  for (const id of ["one", "on", null]) drafts.write("question", id, "text");
  drafts.write("model", "one", "m");

  drafts.drop("one");

  expect(["one", "on", null].map((id) => drafts.read("question", id))).toEqual([
    "",
    "text",
    "text",
  ]);
  expect(drafts.read("model", "one")).toBe("");
  expect(tab.local.items.size).toBe(2);
});

test("of more drafts than are kept the oldest are removed", async () => {
  vi.useFakeTimers({ now: 1000 });
  const drafts = await loaded();
  for (let number = 0; number < 103; number++) {
    vi.setSystemTime(1000 + number);
    drafts.write("question", `c${number}`, "text");
  }

  const after = await loadedAgain();

  expect(tab.local.items.size).toBe(100);
  expect([2, 3, 102].map((number) => after.read("question", `c${number}`))).toEqual([
    "",
    "text",
    "text",
  ]);
});

/** A storage with room for 200 characters. */
class FullStorage extends FakeStorage {
  override setItem = (name: string, value: string) => {
    const used = [...this.items].reduce(
      (sum, [key, each]) => sum + (key === name ? 0 : each.length),
      0,
    );
    if (used + value.length > 200) throw new DOMException("full", "QuotaExceededError");
    this.items.set(name, value);
  };
}

test("a draft that is larger than all storage takes no other draft's room", async () => {
  const drafts = await loadedAgain({ local: new FullStorage() });
  drafts.write("question", "one", "a".repeat(60));
  drafts.write("question", "two", "b".repeat(30));

  drafts.write("question", "now", "c".repeat(500));

  expect(drafts.read("question", "now").length).toBe(500);
  const after = await loadedAgain();
  expect(["one", "two"].map((id) => after.read("question", id).length)).toEqual([60, 30]);
});

test("where storage is full, an old draft makes room for the one that is being written", async () => {
  vi.useFakeTimers({ now: 1000 });
  const drafts = await loadedAgain({ local: new FullStorage() });
  drafts.write("question", "old", "a".repeat(80));
  vi.setSystemTime(2000);
  drafts.write("question", "newer", "b".repeat(40));
  vi.setSystemTime(3000);

  drafts.write("question", "now", "c".repeat(80));

  const after = await loadedAgain();
  expect(["old", "newer", "now"].map((id) => after.read("question", id).length)).toEqual([
    0, 40, 80,
  ]);
});

test("where storage is forbidden a draft stays until the page is left", async () => {
  const drafts = await loadedAgain({ local: new ForbiddenStorage() });
  drafts.write("question", "one", "1");
  drafts.write("question", "two", "2");

  expect(drafts.read("question", "one")).toBe("1");
});

test("what was written before signing in is the user's, before what was kept of theirs", async () => {
  tab.local.setItem("headrace.kept/ada/draft//question", JSON.stringify({ text: "old", at: 1 }));
  tab.local.setItem(
    "headrace.kept//draft/one/question",
    JSON.stringify({ text: "nobody's", at: 1 }),
  );
  const drafts = await loaded();
  const { user } = await import("../../src/state/session");
  const shown = computed(() => [drafts.read("question", null), drafts.read("question", "one")]);
  drafts.write("question", null, "new");
  expect(shown.value).toEqual(["new", "nobody's"]);

  user.value = "ada";

  expect(shown.value).toEqual(["new\n\nold", ""]);
  expect([...tab.local.items.keys()].sort()).toEqual([
    "headrace.kept//draft/one/question",
    "headrace.kept/ada/draft//question",
  ]);
});
