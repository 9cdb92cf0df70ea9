import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Conversation } from "../../src/api";
import { changeElsewhere, openTab, type FakeTab } from "./fakeBrowser";

const NAME = "headrace.deletions//";
const NOW = 1_800_000_000_000;

const remove = vi.fn<(id: string) => Promise<void>>();
const listener = {
  onDeleted: vi.fn<(id: string) => void>(),
  onRefused: vi.fn<(code: string) => void>(),
  onEndedElsewhere: vi.fn(async () => undefined),
};

let tab: FakeTab;
beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  vi.resetModules();
  vi.doMock("../../src/state/server", () => ({ api: { remove }, server: {} }));
  remove.mockReset().mockResolvedValue(undefined);
  for (const each of Object.values(listener)) each.mockClear();
  tab = openTab("/c/one");
});
afterEach(() => void vi.useRealTimers());
afterEach(() => void vi.unstubAllGlobals());

const conversation = (id: string): Conversation => ({
  ...{ id, title: id, model: null, system: null, metadata: {}, created_at: "", updated_at: "" },
});

/** The page's deletions, begun with what is in storage. */
async function load() {
  const { deletions } = await import("../../src/state/deletions");
  const route = await import("../../src/state/route");
  deletions.start(listener);
  return { deletions, ids: () => [...deletions.ids.value.keys()], route };
}

const unreachable = () => Promise.reject(new TypeError("Failed to fetch"));
async function refused(status: number, code: string): Promise<never> {
  const { ApiError } = await import("../../src/stream");
  throw new ApiError(status, code, "");
}

test("a deletion is hidden at once, and sent when its time to undo is over", async () => {
  const { deletions, ids, route } = await load();

  deletions.remove(conversation("one"));
  expect(ids()).toEqual(["one"]);
  expect(deletions.offer.value?.conversation.id).toBe("one");
  expect(tab.local.getItem(`${NAME}one`)).toBe(String(NOW + 8000));
  expect(route.conversationId.value).toBeNull();
  await vi.advanceTimersByTimeAsync(7999);
  expect(remove).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);

  expect(remove.mock.calls).toEqual([["one"]]);
  expect(listener.onDeleted.mock.calls).toEqual([["one"]]);
  expect(deletions.offer.value).toBeUndefined();
  expect(tab.local.items.size).toBe(0);
});

test("undoing leads back to the conversation that was open, and sends nothing", async () => {
  const { deletions, ids, route } = await load();

  deletions.remove(conversation("one"));
  deletions.undo();
  expect(route.conversationId.value).toBe("one");
  deletions.remove(conversation("two"));
  deletions.undo();

  expect(route.conversationId.value).toBe("one");
  expect(ids()).toEqual([]);
  expect(tab.local.items.size).toBe(0);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(remove).not.toHaveBeenCalled();
});

test("asking in a deleted conversation keeps it, in whichever tab it was deleted", async () => {
  const { deletions, ids } = await load();
  deletions.remove(conversation("one"));
  changeElsewhere(tab, `${NAME}two`, String(NOW + 8000));

  deletions.keep("one");
  deletions.keep("two");
  await vi.advanceTimersByTimeAsync(60_000);

  expect(ids()).toEqual([]);
  expect(deletions.offer.value).toBeUndefined();
  expect(tab.local.items.size).toBe(0);
  expect(remove).not.toHaveBeenCalled();
});

test("the time to undo stands still while the offer is held, and some is left afterwards", async () => {
  const { deletions } = await load();
  deletions.remove(conversation("one"));
  await vi.advanceTimersByTimeAsync(7000);

  deletions.hold("pointer");
  deletions.hold("focus");
  deletions.release("pointer");
  await vi.advanceTimersByTimeAsync(600_000);
  expect(remove).not.toHaveBeenCalled();
  deletions.hold("pointer");
  deletions.release("focus");
  await vi.advanceTimersByTimeAsync(600_000);
  expect(remove).not.toHaveBeenCalled();
  deletions.release("pointer");
  await vi.advanceTimersByTimeAsync(2999);
  expect(remove).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);

  expect(remove).toHaveBeenCalledOnce();
});

test("the next deletion carries out the one before, whose undo is over", async () => {
  const { deletions, ids } = await load();
  deletions.remove(conversation("one"));
  deletions.hold("pointer");

  deletions.remove(conversation("two"));
  await vi.advanceTimersByTimeAsync(0);

  expect(remove.mock.calls).toEqual([["one"]]);
  expect(ids()).toEqual(["two"]);
  expect(deletions.offer.value?.conversation.id).toBe("two");
});

test("without a connection a deletion waits, says so, and is sent when there is one", async () => {
  remove.mockImplementation(unreachable);
  const { deletions, ids } = await load();
  deletions.remove(conversation("one"));
  await vi.advanceTimersByTimeAsync(8000);
  expect(deletions.offer.value).toMatchObject({ isWaiting: true });
  deletions.undo(); // too late: the request may have arrived
  expect(ids()).toEqual(["one"]);
  expect(tab.local.items.size).toBe(1);
  const attempts = remove.mock.calls.length;

  remove.mockResolvedValue(undefined);
  tab.window.dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(0);

  expect(remove.mock.calls.length).toBe(attempts + 1);
  expect(deletions.offer.value).toBeUndefined();
  expect(ids()).toEqual([]);
  expect(listener.onDeleted).toHaveBeenCalledOnce();
});

test.each(["http_502", "http_503", "http_504"])(
  "a proxy that answers %s in place of the server is no refusal",
  async (code) => {
    remove.mockImplementationOnce(() => refused(Number(code.slice(5)), code));
    const { deletions } = await load();
    deletions.remove(conversation("one"));

    await vi.advanceTimersByTimeAsync(60_000);

    expect(listener.onRefused).not.toHaveBeenCalled();
    expect(listener.onDeleted).toHaveBeenCalledOnce();
  },
);

test("a refused deletion puts the conversation back, and says why", async () => {
  remove.mockImplementation(() => refused(503, "storage_unavailable"));
  const { deletions, ids } = await load();
  deletions.remove(conversation("one"));

  await vi.advanceTimersByTimeAsync(60_000);

  expect(remove).toHaveBeenCalledOnce();
  expect(listener.onRefused.mock.calls).toEqual([["storage_unavailable"]]);
  expect(ids()).toEqual([]);
  expect(tab.local.items.size).toBe(0);
});

test("what another device has deleted meanwhile is deleted", async () => {
  remove.mockImplementation(() => refused(404, "not_found"));
  const { deletions } = await load();
  deletions.remove(conversation("one"));

  await vi.advanceTimersByTimeAsync(8000);

  expect(listener.onDeleted.mock.calls).toEqual([["one"]]);
  expect(listener.onRefused).not.toHaveBeenCalled();
});

test("leaving the page sends what could still be undone, and leaves it to the next page", async () => {
  remove.mockImplementation(unreachable);
  const { deletions } = await load();
  deletions.remove(conversation("one"));

  tab.window.dispatchEvent(new Event("pagehide"));

  expect(remove.mock.calls).toEqual([["one"]]);
  expect(tab.local.getItem(`${NAME}one`)).toBe("0");
});

test("what was due when the page was loaded is sent, and the rest in its time", async () => {
  tab.local.setItem(`${NAME}due`, String(NOW - 60_000));
  tab.local.setItem(`${NAME}damaged`, "garbage");
  tab.local.setItem(`${NAME}soon`, String(NOW + 5000));
  tab.local.setItem(`${NAME}far`, String(NOW + 1e12)); // the clock was wrong
  tab.local.setItem("headrace.deletions/bob/his", "0");
  const { ids } = await load();
  expect(ids()).toEqual(expect.arrayContaining(["soon", "far"]));
  await vi.advanceTimersByTimeAsync(0);
  expect(remove.mock.calls.flat()).toEqual(["due", "damaged"]);

  await vi.advanceTimersByTimeAsync(10_000);
  expect(remove.mock.calls.flat()).toEqual(["due", "damaged", "soon"]);
  await vi.advanceTimersByTimeAsync(90_000);

  expect(remove.mock.calls.flat()).toEqual(["due", "damaged", "soon", "far"]);
  expect([...tab.local.items.keys()]).toEqual(["headrace.deletions/bob/his"]);
});

test("a deletion of another tab is hidden here, and carried out if that tab does not", async () => {
  const { ids } = await load();

  changeElsewhere(tab, `${NAME}one`, String(NOW + 8000));
  expect(ids()).toEqual(["one"]);
  changeElsewhere(tab, `${NAME}one`, String(NOW + 90_000)); // its undo is being looked at
  await vi.advanceTimersByTimeAsync(89_000);
  expect(remove).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(11_000);

  expect(remove.mock.calls).toEqual([["one"]]);
});

test("what another tab has undone or carried out is shown as the list then says", async () => {
  const { ids } = await load();
  changeElsewhere(tab, `${NAME}one`, String(NOW + 8000));
  let resolve = (): void => undefined;
  listener.onEndedElsewhere.mockImplementationOnce(
    () => new Promise((done) => (resolve = () => done(undefined))),
  );

  changeElsewhere(tab, `${NAME}one`, null);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(ids()).toEqual(["one"]); // until the list is loaded
  resolve();
  await vi.advanceTimersByTimeAsync(0);

  expect(ids()).toEqual([]);
  expect(remove).not.toHaveBeenCalled();
});

test("a user's deletions wait until the user is known", async () => {
  tab.local.setItem("headrace.deletions/alice/hers", "0");
  const { ids } = await load();
  expect(ids()).toEqual([]);

  const session = await import("../../src/state/session");
  session.user.value = "alice";
  await vi.advanceTimersByTimeAsync(0);

  expect(remove.mock.calls).toEqual([["hers"]]);
  expect(tab.local.items.size).toBe(0);
});

test("a page that is left while the offer is held, and comes back, does not delete again", async () => {
  const { deletions, ids } = await load();
  deletions.remove(conversation("one"));
  deletions.hold("pointer");
  tab.window.dispatchEvent(new Event("pagehide"));
  await vi.advanceTimersByTimeAsync(0);
  expect(remove).toHaveBeenCalledOnce();

  await vi.advanceTimersByTimeAsync(60_000);

  expect(ids()).toEqual([]);
  expect(tab.local.items.size).toBe(0);
});
