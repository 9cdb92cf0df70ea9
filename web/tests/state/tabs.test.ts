import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

let tab: FakeTab;
beforeEach(() => {
  vi.resetModules();
  tab = openTab();
});
afterEach(() => void vi.unstubAllGlobals());

class RefusedChannel {
  constructor() {
    throw new DOMException("forbidden", "SecurityError");
  }
}

class MuteChannel extends EventTarget {
  postMessage(): void {
    throw new DOMException("closed", "InvalidStateError");
  }
}

test.each([
  ["that is missing", undefined],
  ["that cannot be opened", RefusedChannel],
  ["that takes no message", MuteChannel],
])(
  "with a channel %s a tab is on its own, and still notices that it is looked at",
  async (_, channel) => {
    vi.stubGlobal("BroadcastChannel", channel);
    const { notifyTabs, subscribe } = await import("../../src/state/tabs");
    const onVisible = vi.fn();
    subscribe(() => undefined, onVisible);

    notifyTabs({ conversation: "c", what: "changed" });
    tab.document.dispatchEvent(new Event("visibilitychange"));

    expect(onVisible).toHaveBeenCalledOnce();
  },
);
