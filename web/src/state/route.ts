/**
 * The page's own URLs, relative to the server's path: `/` is a new conversation, `/c/{id}` an
 * existing one, and `?at={message}` selects the branch of it that ends with that message.
 */

import { ref } from "vue";
import { base } from "../base";

function conversationInUrl(): string | null {
  return /^\/c\/([^/]+)$/.exec(location.pathname.slice(base.length))?.[1] ?? null;
}

/** The URL of a conversation; of a new one if `id` is null. */
export function conversationUrl(id: string | null): string {
  return id === null ? `${base}/` : `${base}/c/${id}`;
}

/** The conversation in the URL; null for a new one. */
export const conversationId = ref(conversationInUrl());

window.addEventListener("popstate", () => (conversationId.value = conversationInUrl()));

/**
 * Navigate to a conversation, or to a new one if `id` is null. `replace` keeps the history entry,
 * for a new conversation that has just been given its id.
 */
export function navigate(id: string | null, replace = false): void {
  if (id === conversationId.value) return;
  setUrl(conversationUrl(id), replace);
  conversationId.value = id;
}

/** Browsers refuse too many changes within some seconds. The page changes all the same. */
function setUrl(url: string, replace: boolean): void {
  try {
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
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
  setUrl(location.pathname + search, true);
}
