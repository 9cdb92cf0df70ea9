import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { ref } from "vue";
import { retryWhileUnreachable } from "../../src/state/retrying";
import { openTab, type FakeTab } from "./fakeBrowser";

const MINUTE = 60_000;

let tab: FakeTab;
beforeEach(() => {
  vi.useFakeTimers();
  tab = openTab();
});
afterEach(() => void vi.useRealTimers());
afterEach(() => void vi.unstubAllGlobals());

test("what could not be loaded is loaded again until it is, each time it fails", async () => {
  const error = ref<string | null>("unreachable");
  const load = vi.fn(async () => undefined);
  retryWhileUnreachable(() => [null, error.value], load);
  await vi.advanceTimersByTimeAsync(MINUTE);
  const attempts = load.mock.calls.length;
  expect(attempts).toBeGreaterThan(2);
  expect(attempts).toBeLessThan(10);

  load.mockImplementationOnce(async () => void (error.value = null));
  tab.window.dispatchEvent(new Event("online"));
  await vi.advanceTimersByTimeAsync(10 * MINUTE);
  expect(load).toHaveBeenCalledTimes(attempts + 1);
  error.value = "http_502";
  await vi.advanceTimersByTimeAsync(MINUTE);

  expect(load.mock.calls.length).toBeGreaterThan(attempts + 2);
  error.value = null;
});

test.each(["foreign_host", "not_found", "admin_only", null])(
  "%s is not asked again",
  async (code) => {
    const load = vi.fn(async () => undefined);
    retryWhileUnreachable(() => [code], load);

    await vi.advanceTimersByTimeAsync(10 * MINUTE);

    expect(load).not.toHaveBeenCalled();
  },
);
