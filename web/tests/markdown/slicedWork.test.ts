import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { soon } from "../../src/markdown/slicedWork";

/** The time that `performance` tells; work moves it on. */
let clock = 0;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(performance, "now").mockImplementation(() => clock);
});
afterEach(() => {
  vi.runAllTimers();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("little work is done at once", () => {
  const done: number[] = [];

  soon(() => done.push(1));
  soon(() => done.push(2));

  expect(done).toEqual([1, 2]);
});

test("much work is done in its order, and in tasks of its own", () => {
  const done: number[] = [];
  for (let number = 0; number < 10; number++)
    soon(() => {
      done.push(number);
      clock += 5;
    });
  const tasks = [done.length];
  while (vi.getTimerCount()) {
    vi.advanceTimersToNextTimer();
    tasks.push(done.length);
  }

  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(tasks).toEqual([3, 6, 9, 10]);
});
