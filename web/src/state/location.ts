/** The page's own addresses: `/` for a new conversation, `/c/{id}` for one that exists. */

import { ref } from "vue";

function named(): string | null {
  return /^\/c\/([^/]+)$/.exec(location.pathname)?.[1] ?? null;
}

/** The conversation that the address names; null for a new one. */
export const conversationId = ref(named());

window.addEventListener("popstate", () => (conversationId.value = named()));

/** Go to a conversation, or to a new one. `replace`: the place where one is has got a name. */
export function go(id: string | null, replace = false): void {
  if (id === conversationId.value) return;
  const address = id === null ? "/" : `/c/${id}`;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  conversationId.value = id;
}
