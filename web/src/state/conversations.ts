/** The list of conversations, newest first, and what can be done to each. */

import { computed, ref, shallowRef } from "vue";
import { codeOf, type Conversation } from "../api";
import { forgetIn } from "../attachments/keeping";
import { deletions } from "./deletions";
import { drafts } from "./drafts";
import { showNotice } from "./notice";
import { conversationId, navigate } from "./route";
import { api } from "./server";
import { user } from "./session";
import { notifyTabs } from "./tabs";
import { unread } from "./unread";

/** The list is not made longer for a search: among more titles one is hard to find. */
const MAX_SEARCHED = 2000;

const loaded = shallowRef<Conversation[]>([]);
/** Whether the list was loaded: before that, nobody knows that there are none. */
const isLoaded = ref(false);
const nextCursor = ref<string | null>(null);
/** The code of the error for which the list could not be loaded; null if it was. */
const loadError = ref<string | null>(null);
const search = ref("");

/** Ids of conversations that were deleted while this page was open; a late response may list them. */
const gone = new Set<string>();

const listed = computed(() => {
  const wanted = search.value.trim().toLowerCase();
  return loaded.value.filter(
    ({ id, title }) =>
      !gone.has(id) && !deletions.ids.value.has(id) && (title ?? "").toLowerCase().includes(wanted),
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
    isLoaded.value = true;
    if (page.next === null) clearUnlisted(page.data);
  } catch (error) {
    loadError.value = codeOf(error); // the old list stays, and is loaded again with the next event
  }
}

/** Clear the marks of conversations that another device has deleted: nobody could open them here. */
function clearUnlisted(all: readonly Conversation[]): void {
  const ids = new Set(all.map(({ id }) => id));
  for (const id of unread.ids.value) if (!ids.has(id)) unread.clear(id);
}

/** Load the next page of the list. */
async function loadMore(): Promise<void> {
  if (nextCursor.value === null) return;
  const page = await api.conversations(nextCursor.value);
  const known = new Set(loaded.value.map(({ id }) => id));
  loaded.value = [...loaded.value, ...page.data.filter(({ id }) => !known.has(id))];
  nextCursor.value = page.next;
}

/** Settles when all pages are loaded; undefined unless they are being loaded. */
let loadingAll: Promise<void> | undefined;

/** Load all pages that are not loaded yet, so that a search finds every title. */
function loadAll(): Promise<void> {
  loadingAll ??= loadRest().finally(() => (loadingAll = undefined));
  return loadingAll;
}

async function loadRest(): Promise<void> {
  while (nextCursor.value !== null && loaded.value.length < MAX_SEARCHED) await loadMore();
}

async function rename(conversation: Conversation, title: string): Promise<Conversation> {
  const changed = await api.change(conversation.id, { title });
  upsert(changed);
  notifyTabs({ conversation: conversation.id, what: "changed" });
  return changed;
}

/** Replace a conversation in the list, or add it at the top. */
function upsert(conversation: Conversation): void {
  const index = loaded.value.findIndex(({ id }) => id === conversation.id);
  loaded.value =
    index < 0 ? [conversation, ...loaded.value] : loaded.value.with(index, conversation);
}

/** Remove a conversation that does not exist any more from the page. */
function drop(id: string): void {
  gone.add(id);
  loaded.value = loaded.value.filter((conversation) => conversation.id !== id);
  drafts.drop(id);
  forgetIn(user.value, id);
  unread.clear(id);
  if (conversationId.value === id) navigate(null);
}

deletions.start({
  onDeleted: (id) => {
    notifyTabs({ conversation: id, what: "deleted" });
    drop(id);
  },
  onRefused: (code) => {
    showNotice(code);
    void load();
  },
  onEndedElsewhere: load,
});

export const conversations = {
  listed,
  isLoaded,
  nextCursor,
  search,
  loadError,
  ...{ load, loadMore, loadAll, rename, upsert, drop },
};
