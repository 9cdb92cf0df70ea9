/**
 * The messages of the open conversation: a tree, of which one path is shown.
 *
 * The address names the path's last message, unless that is the newest of all: so each tab has its
 * own, and has it again after a reload.
 */

import { computed, ref, shallowRef } from "vue";
import { api, type Message, type Page } from "../api";
import { chosenLeaf, nameLeaf } from "./location";
import { stored, type Shown } from "./messages";
import type { Outgoing } from "./outbox";
import * as tree from "./tree";

/** Messages of a path that fill a screen; those before them are read when they are asked for. */
const ENOUGH = 20;

/** What is asked for and not stored yet stands behind its parent, beside what may be there. */
export interface Pending {
  outgoing: Outgoing;
  messages: readonly Shown[];
  /** Takes it back. */
  withdraw: AbortController;
}

/** Whose messages these are; the address may be a step ahead. */
const id = ref<string | null>(null);
const messages = shallowRef<readonly Shown[]>([]);
/** Where the list goes on with older ones; null once all are here. */
const older = ref<string | null>(null);
const pending = shallowRef<Pending>();
/** A message of the path that is shown; what follows it is the newest that there is. */
const chosen = ref<string | null>(null);

const leaf = computed(() => tree.newestLeaf(messages.value, chosen.value));
const path = computed(() => {
  const end = pending.value ? pending.value.outgoing.parent : leaf.value;
  return [
    ...tree.pathTo(messages.value, end, older.value === null),
    ...(pending.value?.messages ?? []),
  ];
});
/** In whichever branch: a conversation has one live answer. */
const live = computed(() =>
  [...messages.value, ...(pending.value?.messages ?? [])].find(
    ({ status }) => status === "live" || status === "asking",
  ),
);

/** Begin with a conversation, of which nothing is here yet but what was asked for in it. */
function begin(conversation: string | null, asked?: Pending): void {
  id.value = conversation;
  messages.value = [];
  older.value = null;
  pending.value = asked;
  chosen.value = chosenLeaf();
}

/**
 * Take the newest page of the list, with `adopt` making messages of it, and read on until the path
 * can be shown.
 *
 * What has grown on the end of the path is shown: nothing that is being read moves for it. What has
 * grown beside one of its messages, another tab's regenerated answer or edited question, would take
 * away all that stands below; there the newest branch is followed by those who were on it, and only
 * if `follows`. An older branch somebody has chosen: the switch counts one more, and nothing moves.
 */
async function take(
  page: Page<Message>,
  adopt: (message: Message) => Shown,
  follows: boolean,
): Promise<void> {
  const conversation = id.value;
  const before = messages.value;
  const shown = path.value;
  const end = leaf.value;
  const isNewest = end === newest();
  const read = page.data.map(adopt);
  const together = tree.merged(before, read);
  messages.value = together ?? read;
  if (!together) older.value = page.next;
  if (before.length) {
    const grown = follows && isNewest ? tree.growth(messages.value, before, shown) : null;
    chosen.value = grown ?? end;
  }
  chosen.value ??= newest();
  await fill();
  if (conversation !== id.value) return;
  if (!path.value.length && older.value === null) chosen.value = newest(); // no such branch
  nameEnd();
}

/** Read older pages until the path has `atLeast` so many messages, or all that it can have. */
async function fill(atLeast = ENOUGH): Promise<void> {
  const conversation = id.value;
  while (conversation !== null && older.value !== null && path.value.length < atLeast) {
    const from = older.value;
    const page = await api.messages(conversation, from);
    if (conversation !== id.value) return;
    if (from !== older.value) continue; // somebody else has read it meanwhile
    messages.value = [...page.data.map(stored), ...messages.value];
    older.value = page.next;
  }
}

/** Older messages, in front of those that are shown. */
const loadOlder = (): Promise<void> => fill(path.value.length + 1);

/** Put messages that have just been stored behind all others. */
function put(added: readonly Shown[]): void {
  const ids = new Set(added.map((message) => message.id));
  messages.value = [...messages.value.filter((message) => !ids.has(message.id)), ...added];
}

/** Show the branch of a message that is here, down to its newest leaf. */
async function choose(message: string): Promise<void> {
  pending.value = undefined;
  chosen.value = message;
  nameEnd();
  await fill();
}

function newest(): string | null {
  return messages.value.at(-1)?.id ?? null;
}

function nameEnd(): void {
  nameLeaf(leaf.value === newest() ? null : leaf.value);
}

export const thread = {
  ...{ id, messages, older, pending, path, leaf, live },
  ...{ begin, take, loadOlder, put, choose },
  siblings: (message: Shown) => tree.siblings(messages.value, message),
};
