/**
 * The exchange in the middle of the page: the messages of the open conversation, along one path,
 * and the answers that are being read, in whichever conversation.
 *
 * An answer goes on being read while its reader looks at another conversation: leaving it would
 * stop it. Other tabs are not told what arrives; each reads the answer itself, as any device does.
 */

import { computed, ref, shallowReactive, shallowRef } from "vue";
import { api, type Conversation, type Message } from "../api";
import { ApiError, ask, follow, newKey, stop, type AnswerEvent, type Start } from "../stream";
import { conversations } from "./conversations";
import { conversationId, go } from "./location";
import { expected, question, stored, textOf, Writer, type Shown } from "./messages";
import * as outbox from "./outbox";
import { tell } from "./tabs";

/**
 * Seconds for which an answer goes on without a reader. A page that is loaded again, a tunnel, a
 * look at another app are shorter; who stays away for longer need not be paid for.
 */
const GRACE_SECONDS = 60;

const conversation = shallowRef<Conversation | null>(null);
/** From the first message to the last. With branches, this is the chosen one of each. */
const path = shallowRef<readonly Shown[]>([]);
const older = ref<string | null>(null);
const state = ref<"ready" | "loading" | "missing" | "unreachable">("ready");
const system = ref("");
/** What stands in the composer: a question that was taken back is there again. */
const draft = ref("");

/** Whose messages `path` holds; the address may be a step ahead. */
let shownId: string | null = null;

/** Answers that are being read here, by their ids; their messages are the ones on the page. */
const reading = shallowReactive(new Map<string, { conversation: string; message: Shown }>());

/** The question that has not begun to be answered, and what takes it back. */
const asking = shallowRef<AbortController>();

const live = computed(() => {
  const last = path.value.at(-1);
  return last?.status === "live" || last?.status === "asking" ? last : undefined;
});

/** Show the conversation that the address names. */
async function open(): Promise<void> {
  if (shownId === conversationId.value) return;
  shownId = conversationId.value;
  conversation.value = null;
  path.value = [];
  older.value = null;
  system.value = "";
  state.value = "ready";
  await refresh();
}

/** Read what the server has of the open conversation; what is being written here stays. */
async function refresh(): Promise<void> {
  const id = shownId;
  if (id === null || asking.value) return;
  if (!path.value.length) state.value = "loading";
  try {
    const [read, page] = await Promise.all([api.conversation(id), api.messages(id)]);
    if (id !== shownId || asking.value) return; // somebody went on meanwhile
    conversation.value = read;
    system.value = read.system ?? "";
    conversations.put(read);
    path.value = joined(page.data);
    older.value = page.next;
    state.value = "ready";
  } catch (error) {
    if (id !== shownId) return;
    if (error instanceof ApiError && error.status === 404) {
      state.value = "missing";
      path.value = [];
    } else if (!path.value.length) {
      state.value = "unreachable";
    }
  }
}

/** The messages as they are stored, in the objects that are on the page already where there are. */
function joined(messages: readonly Message[]): Shown[] {
  const there = new Map(path.value.map((message) => [message.id, message]));
  return messages.map((message) => {
    const shown = reading.get(message.id)?.message ?? there.get(message.id);
    if (message.status === "live") {
      const answer = shown ?? stored(message);
      if (!reading.has(message.id)) void read(message.id, message.conversation_id, answer);
      return answer;
    }
    // One that ended while it was not read here is taken as it was stored.
    return shown && shown.status === message.status ? shown : stored(message);
  });
}

/** Older messages, in front of those that are shown. */
async function loadOlder(): Promise<void> {
  const id = conversation.value?.id;
  if (!id || older.value === null) return;
  const page = await api.messages(id, older.value);
  if (id !== shownId) return;
  path.value = [...page.data.map(stored), ...path.value];
  older.value = page.next;
}

/** Ask in the open conversation, or in a new one. Resolves when the answer has ended. */
async function send(content: string, model: string | null): Promise<void> {
  await deliver({
    key: newKey(),
    question: {
      content,
      on_disconnect: { grace: GRACE_SECONDS },
      ...(conversationId.value !== null && { conversation_id: conversationId.value }),
      ...(model !== null && { model }),
      ...(conversationId.value === null && system.value && { system: system.value }),
    },
  });
}

/** Send what an earlier load of this page was about to send when it was left. */
async function resume(): Promise<void> {
  const left = outbox.left();
  if (left) await deliver(left);
}

async function deliver({ key, question: asked }: outbox.Outgoing): Promise<void> {
  const answer = expected(asked.model ?? null);
  const before = path.value;
  const withdraw = new AbortController();
  path.value = [...before, question(asked.content), answer];
  asking.value = withdraw;
  outbox.keep({ key, question: asked });
  const options = { key, signal: withdraw.signal, onConnection: tellsWaiting(answer) };
  try {
    await write(ask(asked, options), answer, performance.now());
  } catch (error) {
    settle();
    const busy = error instanceof ApiError && error.code === "conversation_busy";
    if (!withdraw.signal.aborted && !busy) return giveUp(answer, error);
    // Taken back; or another tab or device asked first, and its question is what is to be seen.
    draft.value ||= asked.content;
    if (path.value.includes(answer)) path.value = before;
    if (busy) await refresh();
  }
}

/** Whatever became of the question, it is no longer on its way. */
function settle(): void {
  asking.value = undefined;
  outbox.forget();
}

/** There is nothing to read, or nothing more. */
function giveUp(answer: Shown, error: unknown): void {
  answer.waiting = false;
  answer.status = answer.id === null ? "refused" : "failed";
  const { code, message, requestId } =
    error instanceof ApiError
      ? error
      : { code: "unreadable", message: String(error), requestId: null };
  answer.error = { code, message, ...(requestId !== null && { request_id: requestId }) };
}

/** Read an answer that somebody else asked for, or this page before it was loaded again. */
async function read(id: string, conversationOf: string, answer: Shown): Promise<void> {
  reading.set(id, { conversation: conversationOf, message: answer });
  try {
    await write(follow(id, { onConnection: tellsWaiting(answer) }), answer, null);
  } catch (error) {
    reading.delete(id);
    giveUp(answer, error);
  }
}

/** Write an answer's events into its message, to the end. `askedAt`: if it was asked for here. */
async function write(
  events: AsyncGenerator<AnswerEvent>,
  answer: Shown,
  askedAt: number | null,
): Promise<void> {
  const writer = new Writer(answer, askedAt);
  for await (const event of events) {
    writer.take(event);
    if (event.type === "start" && askedAt !== null) began(event.data, answer);
    if (event.type !== "end" || answer.id === null) continue;
    const place = reading.get(answer.id)?.conversation;
    reading.delete(answer.id);
    if (place && askedAt !== null) tell({ conversation: place, what: "ended" });
  }
}

/** A question of this page's has arrived: it is stored, and its conversation has an address. */
function began(start: Start, answer: Shown): void {
  const place = start.conversation_id;
  settle();
  reading.set(start.answer_id, { conversation: place, message: answer });
  const asked = path.value[path.value.indexOf(answer) - 1];
  if (asked) asked.id = start.question_id;
  if (shownId === null && path.value.includes(answer)) {
    shownId = place;
    go(place, true);
  }
  tell({ conversation: place, what: "asked" });
  // The list learns of it, or of the title that its first question gave it.
  void api.conversation(place).then((read) => {
    conversations.put(read);
    if (shownId === place) conversation.value = read;
  }, conversations.load);
}

/** Stop the open conversation's answer; a question that was not taken yet is taken back. */
function halt(): void {
  if (live.value?.id)
    void stop(live.value.id).catch(() => undefined); // `end` says how it went
  else asking.value?.abort();
}

/** The words of the question that `answer` answers. */
function questionOf(answer: Shown): string {
  const asked = path.value
    .slice(0, path.value.indexOf(answer))
    .findLast(({ role }) => role === "user");
  return asked ? textOf(asked) : "";
}

/** Keep the system prompt: with the conversation if there is one, else for its first question. */
async function setSystem(text: string): Promise<void> {
  system.value = text;
  if (conversation.value) {
    conversation.value = await api.change(conversation.value.id, { system: text || null });
  }
}

const tellsWaiting = (answer: Shown) => (connection: string) => {
  if (connection !== "connecting") answer.waiting = connection === "waiting";
};

export const exchange = {
  ...{ conversation, path, older, state, system, draft, live },
  /** Conversations in which something is being written, for the list. */
  busy: computed(() => new Set([...reading.values()].map(({ conversation }) => conversation))),
  ...{ open, refresh, loadOlder, send, resume, halt, questionOf, setSystem },
};
