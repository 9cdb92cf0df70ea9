import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { OutboxEntry } from "../../src/state/outbox";
import { openTab, type FakeStorage } from "./fakeBrowser";

let storage: FakeStorage;
let { add, remove, unsentBy } = {} as typeof import("../../src/state/outbox");

beforeEach(async () => {
  storage = openTab().session;
  ({ add, remove, unsentBy } = await import("../../src/state/outbox"));
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

  remove(first);
  expect(unsentBy("ada")).toEqual([second]);
  remove(second);

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

test.each(["garbage", "{}", "null", "7", '"one"'])(
  "an outbox of %j is empty, and fills again",
  (damaged) => {
    storage.setItem("headrace.outbox", damaged);
    expect(unsentBy("ada")).toEqual([]);

    add(entry("one", "ada"));

    expect(unsentBy("ada").map(({ key }) => key)).toEqual(["one"]);
  },
);

test("a damaged entry is left out, and keeps no other from being sent", () => {
  const whole = entry("whole", "ada");
  const damaged = [
    ...[null, 7, "entry", [], {}, { key: "alone" }],
    ...[
      { ...whole, key: 1 },
      { ...whole, key: "" },
      { ...whole, key: "键" },
    ],
    ...[
      { ...whole, user: 1 },
      { ...whole, conversation: {} },
      { ...whole, parent: undefined },
    ],
    ...[
      { ...whole, asked: null },
      { ...whole, asked: {} },
      { ...whole, asked: { content: 1 } },
    ],
    ...[
      { ...whole, options: null },
      { ...whole, options: "none" },
      { ...whole, edited: 0 },
    ],
  ];
  storage.setItem("headrace.outbox", JSON.stringify([...damaged, whole]));

  expect(unsentBy("ada")).toEqual([whole]);
});
