/**
 * The page's own addresses, below the server's: `/` for a new conversation, `/c/{id}` for one that
 * exists, and with `?at={answer}` the branch of it that ends there.
 */

import { ref } from "vue";
import { base } from "../base";

function named(): string | null {
  return /^\/c\/([^/]+)$/.exec(location.pathname.slice(base.length))?.[1] ?? null;
}

/** The address of a conversation, or of a new one. */
export function addressOf(id: string | null): string {
  return id === null ? `${base}/` : `${base}/c/${id}`;
}

/** The conversation that the address names; null for a new one. */
export const conversationId = ref(named());

window.addEventListener("popstate", () => (conversationId.value = named()));

/** Go to a conversation, or to a new one. `replace`: the place where one is has got a name. */
export function go(id: string | null, replace = false): void {
  if (id === conversationId.value) return;
  if (replace) history.replaceState(null, "", addressOf(id));
  else history.pushState(null, "", addressOf(id));
  conversationId.value = id;
}

/** The end of the branch that the address names; null for the newest. */
export function chosenLeaf(): string | null {
  return new URLSearchParams(location.search).get("at");
}

/** Name the branch that is shown. Looking at another one is no step to go back from. */
export function nameLeaf(id: string | null): void {
  if (id === chosenLeaf()) return;
  const search = id === null ? "" : `?${new URLSearchParams({ at: id })}`;
  history.replaceState(null, "", location.pathname + search);
}
