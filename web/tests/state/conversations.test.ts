import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Conversation, Page } from "../../src/api";
import { changeElsewhere, openTab, type FakeTab } from "./fakeBrowser";

const conversation = (id: string): Conversation => ({
  ...{ id, title: id, model: null, system: null, metadata: {}, created_at: "", updated_at: "" },
});
const page = (...ids: string[]): Page<Conversation> => ({
  data: ids.map(conversation),
  next: null,
});

const api = {
  conversations: vi.fn<() => Promise<Page<Conversation>>>(),
  remove: vi.fn<(id: string) => Promise<void>>(),
};

let tab: FakeTab;
beforeEach(() => {
  vi.useFakeTimers();
  vi.resetModules();
  vi.doMock("../../src/state/server", () => ({ api, server: {} }));
  api.conversations.mockReset().mockResolvedValue(page("one", "two"));
  api.remove.mockReset().mockResolvedValue(undefined);
  tab = openTab();
});
afterEach(() => void vi.useRealTimers());
afterEach(() => void vi.unstubAllGlobals());

async function loaded() {
  const { conversations } = await import("../../src/state/conversations");
  const { deletions } = await import("../../src/state/deletions");
  const { notice } = await import("../../src/state/notice");
  await conversations.load();
  return {
    conversations,
    deletions,
    notice,
    ids: () => conversations.listed.value.map(({ id }) => id),
  };
}

test("a deleted conversation is not listed, and listed again if the deletion is undone", async () => {
  const { deletions, ids } = await loaded();
  expect(ids()).toEqual(["one", "two"]);
  deletions.remove(conversation("one"));
  expect(ids()).toEqual(["two"]);

  deletions.undo();

  expect(ids()).toEqual(["one", "two"]);
});

test("a list that was requested before a deletion does not bring its conversation back", async () => {
  const { conversations, deletions, ids } = await loaded();
  let answer: (late: Page<Conversation>) => void = () => undefined;
  api.conversations.mockReturnValueOnce(new Promise((resolve) => (answer = resolve)));
  const reload = conversations.load();
  deletions.remove(conversation("one"));
  await vi.advanceTimersByTimeAsync(8000);
  expect(api.remove).toHaveBeenCalledOnce();

  answer(page("one", "two"));
  await reload;

  expect(ids()).toEqual(["two"]);
});

test("a refused deletion is said, and its conversation listed again", async () => {
  const { deletions, notice, ids } = await loaded();
  const { ApiError } = await import("../../src/stream");
  api.remove.mockRejectedValue(new ApiError(503, "storage_unavailable", ""));
  deletions.remove(conversation("one"));
  expect(notice.value).toBeNull();

  await vi.advanceTimersByTimeAsync(8000);

  expect(notice.value).toBe("storage_unavailable");
  expect(ids()).toEqual(["one", "two"]);
});

test("what another tab has deleted is not listed while the list is loaded again", async () => {
  const { ids } = await loaded();
  const name = "headrace.deletions//one";
  changeElsewhere(tab, name, String(Date.now() + 8000));
  expect(ids()).toEqual(["two"]);
  api.conversations.mockResolvedValue(page("two"));

  changeElsewhere(tab, name, null);
  expect(ids()).toEqual(["two"]);
  await vi.advanceTimersByTimeAsync(0);

  expect(ids()).toEqual(["two"]);
});

test("no mark stays of a conversation that another device has deleted", async () => {
  const { unread } = await import("../../src/state/unread");
  unread.ended("two");
  unread.ended("deleted elsewhere");
  api.conversations.mockResolvedValueOnce({ ...page("one"), next: "more" });
  const { conversations } = await loaded();
  expect([...unread.ids.value]).toEqual(["two", "deleted elsewhere"]); // may be on the next page

  await conversations.load();

  expect([...unread.ids.value]).toEqual(["two"]);
});

test("all pages are loaded for a search, once, and the rest after one that failed", async () => {
  const pages = [page("one"), page("two"), page("three")];
  for (const [index, each] of pages.slice(0, 2).entries()) each.next = String(index + 1);
  api.conversations.mockResolvedValueOnce(pages[0]!);
  const { conversations, ids } = await loaded();
  api.conversations
    .mockResolvedValueOnce(pages[1]!)
    .mockRejectedValueOnce(new TypeError("offline"));
  await expect(conversations.loadAll()).rejects.toThrow("offline");
  expect(ids()).toEqual(["one", "two"]);

  api.conversations.mockResolvedValueOnce(pages[2]!);
  await Promise.all([conversations.loadAll(), conversations.loadAll()]);

  expect(ids()).toEqual(["one", "two", "three"]);
  await conversations.loadAll();
  expect(api.conversations.mock.calls).toEqual([[], ["1"], ["2"], ["2"]]);
});
