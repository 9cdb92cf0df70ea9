/** The list at the side: all conversations, newest first, and what can be done to them. */

import { computed, ref, shallowRef } from "vue";
import { api, codeOf, type Conversation } from "../api";
import { ApiError } from "../stream";
import { conversationId, go } from "./location";
import { tell } from "./tabs";

/** How long a deleted conversation can be had back: long enough to read the offer twice. */
const UNDO_MS = 8000;

/** Pages that a search reads: 2,000 conversations are more than a title is remembered among. */
const MAX_PAGES = 10;

const known = shallowRef<Conversation[]>([]);
const next = ref<string | null>(null);
/** Why the list could not be read; null if it could. */
const trouble = ref<string | null>(null);
const search = ref("");

/** Deleted here, and still there: until the time for undoing is over. */
const going = shallowRef<{ conversation: Conversation; timer: ReturnType<typeof setTimeout> }>();

const listed = computed(() => {
  const wanted = search.value.trim().toLowerCase();
  return known.value.filter(
    ({ id, title }) =>
      id !== going.value?.conversation.id && (title ?? "").toLowerCase().includes(wanted),
  );
});

/** Read the newest part of the list anew; older parts that are here, for a search perhaps, stay. */
async function load(): Promise<void> {
  try {
    const page = await api.conversations();
    const last = known.value.findIndex(({ id }) => id === page.data.at(-1)?.id);
    const older = page.next === null || last < 0 ? [] : known.value.slice(last + 1);
    known.value = [...page.data, ...older];
    if (!older.length) next.value = page.next;
    trouble.value = null;
  } catch (error) {
    trouble.value = codeOf(error); // the list that is there stays; looking again loads again
  }
}

/** Read the next part of the list. */
async function more(): Promise<void> {
  if (next.value === null) return;
  const page = await api.conversations(next.value);
  const there = new Set(known.value.map(({ id }) => id));
  known.value = [...known.value, ...page.data.filter(({ id }) => !there.has(id))];
  next.value = page.next;
}

/** Read all of it: one searches by title among all conversations. */
async function all(): Promise<void> {
  for (let pages = 1; next.value !== null && pages < MAX_PAGES; pages++) await more();
}

async function rename(conversation: Conversation, title: string): Promise<void> {
  put(await api.change(conversation.id, { title }));
  tell({ conversation: conversation.id, what: "changed" });
}

/** Put a conversation as it is now into the list, where it stands or at its head. */
function put(conversation: Conversation): void {
  const at = known.value.findIndex(({ id }) => id === conversation.id);
  known.value = at < 0 ? [conversation, ...known.value] : known.value.with(at, conversation);
}

/** Take a conversation away; for some seconds `undo` brings it back. */
function remove(conversation: Conversation): void {
  carryOut();
  going.value = { conversation, timer: setTimeout(carryOut, UNDO_MS) };
  if (conversationId.value === conversation.id) go(null);
}

function undo(): void {
  clearTimeout(going.value?.timer);
  going.value = undefined;
}

/** The time for undoing is over, or another delete began, or the page is left. */
function carryOut(): void {
  const gone = going.value;
  if (!gone) return;
  undo();
  const { id } = gone.conversation;
  known.value = known.value.filter((conversation) => conversation.id !== id);
  void api.remove(id).then(
    () => isGone(id),
    (error) => {
      if (error instanceof ApiError && error.status === 404) isGone(id);
      else void load(); // it is still there, and shown again
    },
  );
}

/** Deleted; perhaps somebody has gone back to it meanwhile. */
function isGone(id: string): void {
  tell({ conversation: id, what: "deleted" });
  drop(id);
}

/** It is there no more, whoever deleted it. */
function drop(id: string): void {
  known.value = known.value.filter((conversation) => conversation.id !== id);
  if (conversationId.value === id) go(null);
}

window.addEventListener("pagehide", carryOut);

export const conversations = {
  listed,
  next,
  search,
  trouble,
  going: computed(() => going.value?.conversation),
  ...{ load, more, all, rename, put, remove, drop, undo },
};
