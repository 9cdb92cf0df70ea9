import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { add, remove, unsentBy, type OutboxEntry } from "../../src/state/outbox";

/** The part of a browser's Storage that the outbox uses. */
class FakeStorage {
  readonly items = new Map<string, string>();
  getItem = (name: string) => this.items.get(name) ?? null;
  setItem = (name: string, value: string) => void this.items.set(name, value);
  removeItem = (name: string) => void this.items.delete(name);
}

let storage: FakeStorage;

beforeEach(() => {
  storage = new FakeStorage();
  vi.stubGlobal("sessionStorage", storage);
});
afterEach(() => void vi.unstubAllGlobals());

function entry(key: string, user: string | null, conversation: string | null = null): OutboxEntry {
  const asked = { content: key };
  return { key, user, conversation, parent: null, asked, edited: null, options: {} };
}

test("questions of several conversations are kept until each is removed", () => {
  const [first, second] = [entry("one", "ada", "c1"), entry("two", "ada", "c2")];
  add(first);
  add(second);
  add(second);
  expect(unsentBy("ada")).toEqual([first, second]);

  remove("one");
  expect(unsentBy("ada")).toEqual([second]);
  remove("two");

  expect(unsentBy("ada")).toEqual([]);
  expect(storage.items.size).toBe(0);
});

test("another user gets nothing, and the first user's questions are removed", () => {
  add(entry("hers", "ada"));

  expect(unsentBy("bob")).toEqual([]);
  expect(unsentBy("ada")).toEqual([]);
  expect(storage.items.size).toBe(0);
});

test("while no user is known, a user's questions are neither returned nor removed", () => {
  add(entry("hers", "ada"));

  expect(unsentBy(null)).toEqual([]);
  expect(unsentBy("ada").map(({ key }) => key)).toEqual(["hers"]);
});

test("storage that is full causes no error", () => {
  vi.stubGlobal("sessionStorage", {
    ...{ getItem: () => null, removeItem: () => undefined },
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });

  add(entry("long", "ada"));

  expect(unsentBy("ada")).toEqual([]);
});
