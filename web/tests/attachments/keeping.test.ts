import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Attachment } from "../../src/attachments/attachment";
import type * as Keeping from "../../src/attachments/keeping";
import { changeElsewhere, openTab, type FakeTab } from "../state/fakeBrowser";

/** The browser's database, which all tabs share. */
const database = vi.hoisted(() => new Map<string, Blob>());

vi.mock("../../src/attachments/contents", () => ({
  putContent: async (key: string, content: Blob) => void database.set(key, content),
  getContent: async (key: string) => database.get(key) ?? null,
  removeContent: async (key: string) => void database.delete(key),
  contentKeys: async () => [...database.keys()],
}));

let tab: FakeTab;
let keeping: typeof Keeping;

/** Load the page: what was in its memory is gone, and what is stored is there. */
async function load(): Promise<void> {
  vi.resetModules();
  tab = openTab("/", tab);
  keeping = await import("../../src/attachments/keeping");
}

beforeEach(() => {
  database.clear();
  tab = openTab();
  vi.useFakeTimers({ now: 1_000_000, toFake: ["Date"] });
  return load();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

function attachment(key: string, kind: Attachment["kind"] = "image"): Attachment {
  return { key, kind, name: `${key}.png`, content: new Blob([key]) };
}

const keys = async (user: string | null, conversation: string | null) =>
  (await keeping.keptIn(user, conversation)).map(({ key }) => key);

test("what is in a conversation's composer is there after a reload, in its order", async () => {
  keeping.keepInComposer("ada", attachment("b"), "c1");
  vi.setSystemTime(1_000_001);
  keeping.keepInComposer("ada", attachment("a", "file"), "c1");
  keeping.keepInComposer("ada", attachment("new"), null);

  await load();

  const [first, second] = await keeping.keptIn("ada", "c1");
  expect([first?.key, first?.kind, first?.name]).toEqual(["b", "image", "b.png"]);
  expect([second?.key, second?.kind, await second?.content.text()]).toEqual(["a", "file", "a"]);
  expect(await keys("ada", null)).toEqual(["new"]);
  expect(await keys("ada", "c2")).toEqual([]);
});

test("no other user gets it, also one whose name ends alike", async () => {
  keeping.keepInComposer("ada", attachment("a"), null);

  for (const other of ["bob", "a", "ada/attached", null])
    expect(await keys(other, null)).toEqual([]);
  expect(await keys("ada", null)).toEqual(["a"]);
});

test("with its question it is in no composer, and comes with it after a reload", async () => {
  const [a, b] = [attachment("a"), attachment("b")];
  keeping.keepInComposer("ada", a, "c1");
  keeping.keepWithQuestion("ada", a);
  keeping.keepWithQuestion("ada", b);

  await load();

  expect(await keys("ada", "c1")).toEqual([]);
  expect((await keeping.allKept("ada", ["a", "b"]))?.map(({ key }) => key)).toEqual(["a", "b"]);
  expect(await keeping.allKept("ada", [])).toEqual([]);
});

test("a question whose attachments are not all there is not sent without them", async () => {
  keeping.keepWithQuestion("ada", attachment("a"));
  keeping.keepWithQuestion("ada", attachment("b"));
  await vi.waitUntil(() => database.delete("b"));

  expect(await keeping.allKept("ada", ["a", "b"])).toBeNull();
  expect(await keeping.allKept("ada", ["a", "never"])).toBeNull();
});

test("what is forgotten leaves neither a record nor a content", async () => {
  keeping.keepInComposer("ada", attachment("a"), "c1");
  keeping.keepInComposer("ada", attachment("b"), "c2");
  await vi.waitUntil(() => database.size === 2);

  keeping.forget("ada", [{ key: "a" }]);
  keeping.forgetIn("ada", "c2");

  await vi.waitUntil(() => database.size === 0);
  expect(tab.local.items.size).toBe(0);
});

test("after signing out, the next page removes the contents", async () => {
  keeping.keepInComposer("ada", attachment("a"), "c1");
  keeping.keepInComposer("bob", attachment("b"), "c1");
  await vi.waitUntil(() => database.size === 2);

  tab.local.items.forEach((_, name) => name.includes("/ada/") && tab.local.removeItem(name));
  await load();
  await keeping.sweep();

  expect([...database.keys()]).toEqual(["b"]);
});

test("what nobody came back to for a month is removed", async () => {
  keeping.keepInComposer("ada", attachment("old"), "c1");
  vi.setSystemTime(20 * 24 * 3600 * 1000);
  keeping.keepInComposer("ada", attachment("new"), "c1");
  await vi.waitUntil(() => database.size === 2);

  vi.setSystemTime(31 * 24 * 3600 * 1000);
  await keeping.sweep();

  expect([...database.keys()]).toEqual(["new"]);
  expect(await keys("ada", "c1")).toEqual(["new"]);
});

test("damaged records count as missing", async () => {
  keeping.keepInComposer("ada", attachment("a"), "c1");
  for (const name of tab.local.items.keys()) tab.local.setItem(name, "garbage");

  expect(await keys("ada", "c1")).toEqual([]);
  await keeping.sweep();

  expect(tab.local.items.size).toBe(0);
});

test("what another tab does with an attachment is told", () => {
  const onMoved = vi.fn();
  keeping.watchOtherTabs(onMoved);
  keeping.keepInComposer("ada", attachment("a"), null);
  const [name = ""] = tab.local.items.keys();
  const record = JSON.parse(tab.local.getItem(name) ?? "");

  changeElsewhere(tab, name, JSON.stringify({ ...record, composer: "c1" }));
  changeElsewhere(tab, name, JSON.stringify({ ...record, composer: null }));
  changeElsewhere(tab, name, null);
  changeElsewhere(tab, "headrace.kept/ada/draft//question", null);

  expect(onMoved.mock.calls).toEqual([
    ["a", "c1"],
    ["a", null],
    ["a", null],
  ]);
});

test("what another tab did while the page was in the back/forward cache is told as it comes back", () => {
  const onMoved = vi.fn();
  keeping.watchOtherTabs(onMoved);
  for (const key of ["sent", "moved", "stays"])
    keeping.keepInComposer("ada", attachment(key), "c1");
  const nameOf = (key: string) => `headrace.kept/ada/attached/${key}`;
  const record = JSON.parse(tab.local.getItem(nameOf("moved")) ?? "");

  tab.window.dispatchEvent(new Event("pagehide"));
  tab.local.removeItem(nameOf("sent"));
  tab.local.setItem(nameOf("moved"), JSON.stringify({ ...record, composer: "c2" }));
  tab.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: false }));
  expect(onMoved).not.toHaveBeenCalled();
  tab.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));

  expect(onMoved.mock.calls).toEqual([
    ["sent", null],
    ["moved", "c2"],
  ]);
});
