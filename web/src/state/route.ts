/**
 * The page's own URLs, relative to the server's path: `/` is a new conversation, `/c/{id}` an
 * existing one, and `?at={message}` selects the branch of it that ends with that message.
 */

import { ref } from "vue";
import { base } from "../base";

/** What stands for a conversation where the address is none of the page's. No id is empty. */
export const NOWHERE = "";

function conversationInUrl(): string | null {
  const path = location.pathname.slice(base.length);
  return path === "/" ? null : (/^\/c\/([^/]+)$/.exec(path)?.[1] ?? NOWHERE);
}

/** The URL of a conversation; of a new one if `id` is null. */
export function conversationUrl(id: string | null): string {
  return id === null ? `${base}/` : `${base}/c/${id}`;
}

/** The conversation in the URL; null for a new one, and NOWHERE for neither. */
export const conversationId = ref(conversationInUrl());

/**
 * Whether the list of conversations is open, on a narrow page where it covers the conversation. It
 * has a history entry of its own, so that Back closes it.
 */
export const isListOpen = ref(isListEntry());

function isListEntry(): boolean {
  return history.state?.list === true;
}

window.addEventListener("popstate", () => {
  conversationId.value = conversationInUrl();
  isListOpen.value = isListEntry();
});

export function openList(): void {
  if (isListEntry()) return; // closing it takes one entry back
  setUrl(location.href, false, { list: true });
  isListOpen.value = true;
}

export function closeList(): void {
  if (isListEntry()) history.back();
  isListOpen.value = false;
}

/**
 * Navigate to a conversation, or to a new one if `id` is null. `replace` keeps the history entry,
 * for a new conversation that has just been given its id. The list's entry is always replaced.
 */
export function navigate(id: string | null, replace = false): void {
  if (id === conversationId.value) return;
  setUrl(conversationUrl(id), replace || isListEntry());
  conversationId.value = id;
}

/** Browsers refuse too many changes within some seconds. The page changes all the same. */
function setUrl(url: string, replace: boolean, state: unknown = null): void {
  try {
    if (replace) history.replaceState(state, "", url);
    else history.pushState(state, "", url);
  } catch {
    // The old address stays in the bar until the next change.
  }
}

/** The message in the URL with which the shown branch ends; null for the newest branch. */
export function leafInUrl(): string | null {
  return new URLSearchParams(location.search).get("at");
}

/** Put the end of the shown branch into the URL. Switching branches adds no history entry. */
export function setLeafInUrl(id: string | null): void {
  if (id === leafInUrl()) return;
  const search = id === null ? "" : `?${new URLSearchParams({ at: id })}`;
  setUrl(location.pathname + search, true, history.state);
}
