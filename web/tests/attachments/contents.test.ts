import { afterEach, beforeEach, expect, test, vi } from "vitest";

beforeEach(() => {
  vi.resetModules();
  vi.stubGlobal("location", { pathname: "/" });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** A request to a database of which the given event comes, or none. */
function request(event: "onsuccess" | "onerror" | "onblocked" | null, result: object = {}) {
  const made: Record<string, unknown> = { result };
  if (event) queueMicrotask(() => (made[event] as () => void)());
  return made;
}

/** A transaction that ends with the given event, on a store that has `found`. */
function transaction(event: "oncomplete" | "onabort" | null, found: unknown) {
  const made: Record<string, unknown> = {};
  if (event) queueMicrotask(() => (made[event] as () => void)());
  const operation = () => ({ result: found });
  const store = { put: operation, get: operation, delete: operation, getAllKeys: operation };
  return Object.assign(made, { objectStore: () => store });
}

const opened = (made: () => object) => ({
  open: () => request("onsuccess", { transaction: made }),
});

test.each<[string, object | undefined]>([
  ["has no database", undefined],
  [
    "forbids it",
    {
      open: () => {
        throw new DOMException("forbidden", "SecurityError");
      },
    },
  ],
  ["cannot open it", { open: () => request("onerror") }],
  ["is blocked by another tab", { open: () => request("onblocked") }],
  ["never answers", { open: () => request(null) }],
  ["has no room left", opened(() => transaction("onabort", "x"))],
  ["never finishes", opened(() => transaction(null, "x"))],
  [
    "has closed it",
    opened(() => {
      throw new DOMException("closing", "InvalidStateError");
    }),
  ],
])("a browser that %s keeps nothing, and nothing fails or waits for ever", async (_, database) => {
  vi.stubGlobal("indexedDB", database);
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  const contents = await import("../../src/attachments/contents");

  const ended = Promise.all([
    contents.putContent("a", new Blob(["x"])),
    contents.getContent("a"),
    contents.removeContent("a"),
    contents.contentKeys(),
  ]);
  let isOver = false;
  void ended.then(() => (isOver = true));
  for (let second = 0; second < 30 && !isOver; second++) await vi.advanceTimersByTimeAsync(1000);

  expect(isOver).toBe(true);
  expect(await ended).toEqual([undefined, null, undefined, []]);
});

test("a content is read as it was kept, and damaged ones are none", async () => {
  const bytes = new TextEncoder().encode("some text").buffer;
  let found: unknown = { bytes, type: "text/plain" };
  vi.stubGlobal(
    "indexedDB",
    opened(() => transaction("oncomplete", found)),
  );
  const { getContent } = await import("../../src/attachments/contents");

  const content = await getContent("a");
  expect([content?.type, await content?.text()]).toEqual(["text/plain", "some text"]);

  for (found of [undefined, null, "text", {}, { bytes: "text", type: "text/plain" }])
    expect(await getContent("a")).toBeNull();
});
