/**
 * Conversations with an answer that ended while its user was looking at something else. They are
 * marked in all tabs until one of them shows the conversation.
 */

import { shallowRef, watch } from "vue";
import { deviceStorage, keptName, nameOfKey } from "./browserStorage";
import { conversationId } from "./route";
import { user } from "./session";

/** Their ids; one for each conversation at most. */
const ids = shallowRef<ReadonlySet<string>>(new Set());

const prefix = (): string => keptName(user.value, "unread/");

/** Whether the user is looking at a conversation in this tab. */
function isLookedAt(id: string): boolean {
  return document.visibilityState === "visible" && conversationId.value === id;
}

/** An answer of a conversation has ended. */
function ended(id: string): void {
  if (isLookedAt(id)) clear(id);
  else {
    deviceStorage.write(prefix() + id, "1");
    ids.value = new Set([...ids.value, id]);
  }
}

/** The conversation was looked at, or deleted. */
function clear(id: string): void {
  deviceStorage.write(prefix() + id, null);
  ids.value = new Set([...ids.value].filter((each) => each !== id));
}

function clearLookedAt(): void {
  for (const id of ids.value) if (isLookedAt(id)) clear(id);
}

/** Read the marks from storage, after another tab has changed them. */
function load(): void {
  const length = prefix().length;
  ids.value = new Set(deviceStorage.names(prefix()).map((name) => name.slice(length)));
  clearLookedAt();
}

watch(user, load, { immediate: true, flush: "sync" });
watch(conversationId, clearLookedAt);
document.addEventListener("visibilitychange", clearLookedAt);
window.addEventListener("storage", ({ key }) => {
  if (nameOfKey(key ?? "")?.startsWith(prefix())) load();
});
// A page that the browser restores from its back/forward cache has missed all storage events.
window.addEventListener("pageshow", (event) => event.persisted && load());

export const unread = { ids, ended, clear };
