import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

const pageOf = (version: string) =>
  `<script type="module" src="./assets/index-${version}.js"></script>`;
const fetched = vi.fn<() => Promise<Response>>();
let tab: FakeTab;

beforeEach(() => {
  vi.resetModules();
  vi.useFakeTimers();
  fetched.mockReset();
  tab = openTab();
  const script = { src: "https://chat.example/assets/index-Old_1.js" };
  Object.assign(tab.document, { querySelector: () => script });
  vi.stubGlobal("fetch", fetched);
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

/** What is said once a part of the page could not be loaded. */
async function noticeAfterFailure(): Promise<string | null> {
  const { notice } = await import("../../src/state/notice");
  const { watchUpdates } = await import("../../src/state/updates");
  watchUpdates();
  tab.window.dispatchEvent(new Event("vite:preloadError"));
  await vi.advanceTimersByTimeAsync(0);
  return notice.value;
}

test("where the server has another version, the page asks to be loaded again", async () => {
  fetched.mockResolvedValueOnce(new Response(pageOf("New-2")));

  expect(await noticeAfterFailure()).toBe("page_outdated");

  const { notice } = await import("../../src/state/notice");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(notice.value).toBeNull();
  tab.window.dispatchEvent(new Event("vite:preloadError"));
  await vi.advanceTimersByTimeAsync(0);
  expect(notice.value).toBe("page_outdated"); // and the server is not asked again
  expect(fetched).toHaveBeenCalledOnce();
});

test.each([
  ["has this version", async () => new Response(pageOf("Old_1"))],
  ["cannot be reached", async () => Promise.reject(new TypeError("Failed to fetch"))],
  ["is behind a proxy that has a page of its own", async () => new Response("<h1>Log in</h1>")],
  ["fails", async () => new Response(pageOf("New-2"), { status: 502 })],
])("where it %s, nothing is said of another version", async (_, answer) => {
  fetched.mockImplementationOnce(answer);

  expect(await noticeAfterFailure()).toBeNull();
});
