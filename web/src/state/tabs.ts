/** How the tabs of one browser notify each other, so that all of them show the same state. */

import { scopedName } from "./browserStorage";

/** Something changed in a conversation; each tab loads from the API what it shows of it. */
export interface TabEvent {
  conversation: string;
  what: "asked" | "ended" | "changed" | "deleted";
}

const channel = openChannel();

/** Where a browser forbids storage it may forbid channels, too: then each tab is on its own. */
function openChannel(): BroadcastChannel | null {
  try {
    return new BroadcastChannel(scopedName("headrace"));
  } catch {
    return null;
  }
}

/** Notify the other tabs. */
export function notifyTabs(event: TabEvent): void {
  try {
    channel?.postMessage(event);
  } catch {
    // The other tabs load the change when they become visible.
  }
}

/**
 * Call `onEvent` for what other tabs report, and `onVisible` when this tab becomes visible, because
 * another device may have changed something meanwhile.
 */
export function subscribe(onEvent: (event: TabEvent) => void, onVisible: () => void): void {
  channel?.addEventListener("message", (message: MessageEvent<TabEvent>) => onEvent(message.data));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") onVisible();
  });
}
