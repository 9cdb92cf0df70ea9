/** What the tabs of one browser tell each other, so that all show the same. */

import { placed } from "./kept";

/** Something about this conversation is new: a question, an ending, a title; or it is gone. */
export interface News {
  conversation: string;
  what: "asked" | "ended" | "changed" | "deleted";
}

const channel = new BroadcastChannel(placed("headrace"));

/** Tell the other tabs. */
export function tell(news: News): void {
  channel.postMessage(news);
}

/** Hear of what other tabs did, and of somebody looking at this one again: another device may have. */
export function hear(heard: (news: News) => void, looked: () => void): void {
  channel.addEventListener("message", (event: MessageEvent<News>) => heard(event.data));
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") looked();
  });
}
