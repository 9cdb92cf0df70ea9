/** The list of conversations, newest first, and what can be done to each. */

import { computed, ref, shallowRef } from "vue";
import { codeOf, type Conversation } from "../api";
import { ApiError } from "../stream";
import { conversationId, navigate } from "./route";
import { api } from "./server";
import { notifyTabs } from "./tabs";

/** How long a delete can be undone: long enough to read the offer twice. */
const UNDO_MS = 8000;

/** Pages that a search loads at most: among more than 2,000 a title is hard to find. */
const MAX_SEARCH_PAGES = 10;

const loaded = shallowRef<Conversation[]>([]);
const nextCursor = ref<string | null>(null);
/** The code of the error for which the list could not be loaded; null if it was. */
const loadError = ref<string | null>(null);
const search = ref("");

/** A conversation that was deleted here, and is kept on the server until the undo time is over. */
const deletion = shallowRef<{ conversation: Conversation; timer: ReturnType<typeof setTimeout> }>();

const listed = computed(() => {
  const wanted = search.value.trim().toLowerCase();
  return loaded.value.filter(
    ({ id, title }) =>
      id !== deletion.value?.conversation.id && (title ?? "").toLowerCase().includes(wanted),
  );
});

/** Load the newest page again. Older pages that are loaded, for a search perhaps, stay. */
async function load(): Promise<void> {
  try {
    const page = await api.conversations();
    const last = loaded.value.findIndex(({ id }) => id === page.data.at(-1)?.id);
    const older = page.next === null || last < 0 ? [] : loaded.value.slice(last + 1);
    loaded.value = [...page.data, ...older];
    if (!older.length) nextCursor.value = page.next;
    loadError.value = null;
  } catch (error) {
    loadError.value = codeOf(error); // the old list stays, and is loaded again with the next event
  }
}

/** Load the next page of the list. */
async function loadMore(): Promise<void> {
  if (nextCursor.value === null) return;
  const page = await api.conversations(nextCursor.value);
  const known = new Set(loaded.value.map(({ id }) => id));
  loaded.value = [...loaded.value, ...page.data.filter(({ id }) => !known.has(id))];
  nextCursor.value = page.next;
}

/** Load all pages, so that a search finds every title. */
async function loadAll(): Promise<void> {
  for (let pages = 1; nextCursor.value !== null && pages < MAX_SEARCH_PAGES; pages++)
    await loadMore();
}

async function rename(conversation: Conversation, title: string): Promise<void> {
  upsert(await api.change(conversation.id, { title }));
  notifyTabs({ conversation: conversation.id, what: "changed" });
}

/** Replace a conversation in the list, or add it at the top. */
function upsert(conversation: Conversation): void {
  const index = loaded.value.findIndex(({ id }) => id === conversation.id);
  loaded.value =
    index < 0 ? [conversation, ...loaded.value] : loaded.value.with(index, conversation);
}

/** Delete a conversation. For some seconds `undo` restores it. */
function remove(conversation: Conversation): void {
  commitDeletion();
  deletion.value = { conversation, timer: setTimeout(commitDeletion, UNDO_MS) };
  if (conversationId.value === conversation.id) navigate(null);
}

function undo(): void {
  clearTimeout(deletion.value?.timer);
  deletion.value = undefined;
}

/** Delete on the server: the undo time is over, another delete began, or the page is left. */
function commitDeletion(): void {
  const committed = deletion.value;
  if (!committed) return;
  undo();
  const { id } = committed.conversation;
  loaded.value = loaded.value.filter((conversation) => conversation.id !== id);
  void api.remove(id).then(
    () => onDeleted(id),
    (error) => {
      if (error instanceof ApiError && error.status === 404) onDeleted(id);
      else void load(); // it still exists, and is listed again
    },
  );
}

/** The server has deleted a conversation, which may be open again by now. */
function onDeleted(id: string): void {
  notifyTabs({ conversation: id, what: "deleted" });
  drop(id);
}

/** Remove a conversation that does not exist any more from the page. */
function drop(id: string): void {
  loaded.value = loaded.value.filter((conversation) => conversation.id !== id);
  if (conversationId.value === id) navigate(null);
}

window.addEventListener("pagehide", commitDeletion);

export const conversations = {
  listed,
  nextCursor,
  search,
  loadError,
  /** The conversation whose deletion can be undone. */
  undoable: computed(() => deletion.value?.conversation),
  ...{ load, loadMore, loadAll, rename, upsert, remove, drop, undo },
};
