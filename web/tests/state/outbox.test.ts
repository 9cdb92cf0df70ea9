import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { forget, keep, left, type Outgoing } from "../../src/state/outbox";

/** A browser's storage, as much of it as is used. */
class Place {
  readonly kept = new Map<string, string>();
  getItem = (name: string) => this.kept.get(name) ?? null;
  setItem = (name: string, value: string) => void this.kept.set(name, value);
  removeItem = (name: string) => void this.kept.delete(name);
}

let place: Place;

beforeEach(() => {
  place = new Place();
  vi.stubGlobal("sessionStorage", place);
});
afterEach(() => void vi.unstubAllGlobals());

function question(key: string, user: string | null, conversation: string | null = null): Outgoing {
  const asked = { content: key };
  return { key, user, conversation, parent: null, asked, edited: null, options: {} };
}

test("questions of several conversations are kept until each has arrived", () => {
  const [first, second] = [question("one", "ada", "c1"), question("two", "ada", "c2")];
  keep(first);
  keep(second);
  keep(second);
  expect(left("ada")).toEqual([first, second]);

  forget("one");
  expect(left("ada")).toEqual([second]);
  forget("two");

  expect(left("ada")).toEqual([]);
  expect(place.kept.size).toBe(0);
});

test("another user finds nothing, and nothing of the first one's stays", () => {
  keep(question("hers", "ada"));

  expect(left("bob")).toEqual([]);
  expect(left("ada")).toEqual([]);
  expect(place.kept.size).toBe(0);
});

test("as long as nobody is known, what somebody asked is neither asked nor forgotten", () => {
  keep(question("hers", "ada"));

  expect(left(null)).toEqual([]);
  expect(left("ada").map(({ key }) => key)).toEqual(["hers"]);
});

test("a browser that keeps nothing is no reason to fail", () => {
  vi.stubGlobal("sessionStorage", {
    ...{ getItem: () => null, removeItem: () => undefined },
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  });

  keep(question("long", "ada"));

  expect(left("ada")).toEqual([]);
});
