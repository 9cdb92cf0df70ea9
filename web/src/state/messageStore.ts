/**
 * The loaded messages of the open conversation: a tree, of which one path is shown.
 *
 * The URL contains the path's last message, unless that is the newest of all. So each tab has a path
 * of its own, and still has it after a reload.
 */

import { computed, ref, shallowRef } from "vue";
import type { Message, Page } from "../api";
import { fromStored, type DisplayedMessage } from "./displayedMessage";
import * as tree from "./messageTree";
import type { PendingTurn } from "./pendingTurns";
import { leafInUrl, setLeafInUrl } from "./route";
import { api } from "./server";

/** Messages of a path that fill a screen; earlier ones are loaded when the user asks for them. */
const INITIAL_PATH_LENGTH = 20;

/** The conversation that the messages belong to; the URL may be ahead of it. */
const id = ref<string | null>(null);
const messages = shallowRef<readonly DisplayedMessage[]>([]);
/**
 * Whether the messages were loaded from the server, at least the newest page of them. Until then they
 * are only those that were asked here meanwhile.
 */
const isLoaded = ref(true);
/** Cursor of the page with the next older messages; null once all are loaded. */
const olderCursor = ref<string | null>(null);
/** The turn of this conversation that is pending; undefined while another branch is shown. */
const pending = shallowRef<PendingTurn>();
/** A message on the shown path. The path continues from it to the newest leaf. */
const selected = ref<string | null>(null);

const leaf = computed(() => tree.newestLeaf(messages.value, selected.value));
const path = computed(() => {
  const end = pending.value ? pending.value.entry.parent : leaf.value;
  return [
    ...tree.pathTo(messages.value, end, olderCursor.value === null),
    ...(pending.value?.messages ?? []),
  ];
});
/** The live answer, on whichever branch: a conversation has one at most. */
const live = computed(() =>
  [...messages.value, ...(pending.value?.messages ?? [])].find(
    ({ status }) => status === "live" || status === "asking",
  ),
);

/** Whether a message is one of the conversation's, and not of one that was open before. */
function has(message: DisplayedMessage): boolean {
  return messages.value.includes(message) || pending.value?.messages.includes(message) === true;
}

/** Whether the pending turn is being sent; one that was refused stays shown and is not. */
const isAsking = computed(() => pending.value?.messages.at(-1)?.status === "asking");

/** Switch to a conversation, of which nothing is loaded yet and `pendingTurn` may be pending. */
function reset(conversation: string | null, pendingTurn?: PendingTurn): void {
  id.value = conversation;
  messages.value = [];
  isLoaded.value = conversation === null;
  olderCursor.value = null;
  pending.value = pendingTurn;
  selected.value = leafInUrl();
}

/**
 * Merge the newest page of the list, made into displayed messages by `toDisplayed`, and load older
 * pages until the path fills a screen.
 *
 * New messages at the end of the path are shown. A new message beside one of the path's (an answer
 * that another tab regenerated, a question that it edited) would replace everything below it, so its
 * branch is shown only if `followsNewest` and if the newest branch was shown before. Otherwise
 * nothing moves, and only the count at the branch switch changes.
 */
async function merge(
  page: Page<Message>,
  toDisplayed: (message: Message) => DisplayedMessage,
  followsNewest: boolean,
): Promise<void> {
  const conversation = id.value;
  const before = messages.value;
  const shownPath = path.value;
  const end = leaf.value;
  const wasNewest = end === newest();
  const loaded = page.data.map(toDisplayed);
  const merged = tree.mergeNewestPage(before, loaded);
  messages.value = merged ?? loaded;
  isLoaded.value = true;
  if (!merged) olderCursor.value = page.next;
  if (before.length) {
    const newLeaf =
      followsNewest && wasNewest ? tree.newLeafFrom(messages.value, before, shownPath) : null;
    selected.value = newLeaf ?? end;
  }
  selected.value ??= newest();
  await fill();
  if (conversation !== id.value) return;
  // The URL may contain a message that does not exist: show the newest branch then.
  if (!path.value.length && olderCursor.value === null) selected.value = newest();
  updateUrl();
}

/** Load older pages until the path has `length` messages, or all that it can have. */
async function fill(length = INITIAL_PATH_LENGTH): Promise<void> {
  const conversation = id.value;
  while (conversation !== null && olderCursor.value !== null && path.value.length < length) {
    const cursor = olderCursor.value;
    const page = await api.messages(conversation, cursor);
    if (conversation !== id.value) return;
    if (cursor !== olderCursor.value) continue; // another call has loaded this page meanwhile
    messages.value = [...page.data.map(fromStored), ...messages.value];
    olderCursor.value = page.next;
  }
}

/** Load older messages of the path. */
const loadOlder = (): Promise<void> => fill(path.value.length + 1);

/** Add messages that have just been stored, after all others. */
function append(added: readonly DisplayedMessage[]): void {
  const ids = new Set(added.map((message) => message.id));
  messages.value = [...messages.value.filter((message) => !ids.has(message.id)), ...added];
}

/** Show the branch of a loaded message, down to its newest leaf. */
async function select(message: string): Promise<void> {
  pending.value = undefined;
  selected.value = message;
  updateUrl();
  await fill();
}

function newest(): string | null {
  return messages.value.at(-1)?.id ?? null;
}

function updateUrl(): void {
  setLeafInUrl(leaf.value === newest() ? null : leaf.value);
}

export const messageStore = {
  ...{ id, messages, isLoaded, olderCursor, pending, path, leaf, live, isAsking },
  ...{ has, reset, merge, loadOlder, append, select },
  siblings: (message: DisplayedMessage) => tree.siblings(messages.value, message),
};
