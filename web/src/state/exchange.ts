/**
 * The exchange in the middle of the page: the open conversation, what is asked in it, and the answers
 * that are being read, in whichever conversation.
 *
 * An answer goes on being read while its reader looks at another conversation: leaving it would
 * stop it. Other tabs are not told what arrives; each reads the answer itself, as any device does.
 */

import { computed, ref, shallowReactive, shallowRef } from "vue";
import { base } from "../base";
import { api, codeOf, type Conversation, type Message } from "../api";
import {
  ApiError,
  follow,
  newIdempotencyKey,
  stop,
  type AnswerEvent,
  type AnswerOptions,
  type Start,
} from "../stream";
import { conversations } from "./conversations";
import { conversationId, go } from "./location";
import { expected, nameOf, question, stored, Writer, type Shown } from "./messages";
import * as outbox from "./outbox";
import { headers, user } from "./session";
import { tell } from "./tabs";
import { thread, type Pending } from "./thread";

/**
 * Seconds for which an answer goes on without a reader. A page that is loaded again, a tunnel, a
 * look at another app are shorter; who stays away for longer need not be paid for.
 */
const GRACE_SECONDS = 60;

const { pending, path, leaf, live } = thread;
const conversation = shallowRef<Conversation | null>(null);
const state = ref<"ready" | "loading" | "missing" | "unread">("ready");
/** Why it could not be read. */
const trouble = ref("");
const system = ref("");
/** What stands in the composer: a question that was taken back is there again. */
const draft = ref("");
/** Questions that are being put in other words, by `nameOf`: the words so far. */
const edits = shallowReactive(new Map<string, string>());
/** Whether the page's end is in sight; who has scrolled up is reading something. */
const atEnd = ref(true);

/** Answers that are being read here, by their ids; their messages are the ones on the page. */
const reading = shallowReactive(new Map<string, { conversation: string; message: Shown }>());

/**
 * What was asked for and has not begun to be answered, or was refused: by its conversation, each of
 * which has one at most. Null is the one that is not made yet.
 */
const asked = new Map<string | null, Pending>();

/** Whether something that is on the page is on its way. */
const isAsking = (): boolean => pending.value?.messages.at(-1)?.status === "asking";

/** Show the conversation that the address names. */
async function open(): Promise<void> {
  if (thread.id.value === conversationId.value) return;
  thread.begin(conversationId.value, asked.get(conversationId.value));
  conversation.value = null;
  system.value = "";
  state.value = "ready";
  await refresh();
}

/** Read what the server has of the open conversation; what is being written here stays. */
async function refresh(): Promise<void> {
  const id = thread.id.value;
  const isHere = thread.messages.value.length > 0;
  if (id === null || (isHere && isAsking())) return;
  if (!path.value.length) state.value = "loading";
  try {
    const [read, page] = await Promise.all([api.conversation(id), api.messages(id)]);
    if (id !== thread.id.value || (isHere && isAsking())) return; // somebody went on meanwhile
    if (!isHere && thread.messages.value.length) return await refresh(); // what was asked has begun
    conversation.value = read;
    system.value = read.system ?? "";
    conversations.put(read);
    await thread.take(page, adopted(), atEnd.value && !isEditing());
    if (id === thread.id.value) state.value = "ready";
  } catch (error) {
    if (id !== thread.id.value) return;
    if (error instanceof ApiError && error.status === 404) {
      thread.begin(id);
      state.value = "missing";
    } else {
      state.value = path.value.length ? "ready" : "unread";
      trouble.value = codeOf(error);
    }
  }
}

/** Whether a question that is shown is being put in other words. */
function isEditing(): boolean {
  return path.value.some((message) => edits.has(nameOf(message)));
}

/** Makes messages of those that are stored: the objects on the page already, where there are. */
function adopted(): (message: Message) => Shown {
  const there = new Map(thread.messages.value.map((message) => [message.id, message]));
  return (message) => {
    const shown = reading.get(message.id)?.message ?? there.get(message.id);
    if (message.status === "live") {
      const answer = shown ?? stored(message);
      if (!reading.has(message.id)) void read(message.id, message.conversation_id, answer);
      return answer;
    }
    // One that ended while it was not read here is taken as it was stored.
    return shown && shown.status === message.status ? shown : stored(message);
  };
}

/** Ask behind the last message shown, or in a new conversation. Resolves when the answer has ended. */
async function send(content: string, model: string | null): Promise<void> {
  await deliver(outgoing({ content }, leaf.value, model));
}

/** Ask a question anew, in other words: beside the one there was, which stays. */
async function edit(message: Shown, content: string, model: string | null): Promise<void> {
  edits.delete(nameOf(message));
  await deliver(outgoing({ content }, message.parent, model, message.id));
}

/** Have an answer's question answered once more, or sent again if it was not taken. */
async function again(answer: Shown, model: string | null): Promise<void> {
  const refused = pending.value?.messages.includes(answer) && pending.value.outgoing;
  if (refused) await deliver(outgoing(refused.asked, refused.parent, model, refused.edited));
  else if (answer.id) await deliver(outgoing({ beside: answer.id }, answer.parent, model));
}

function outgoing(
  asked: outbox.Outgoing["asked"],
  parent: string | null,
  model: string | null,
  edited: string | null = null,
): outbox.Outgoing {
  const id = thread.id.value;
  const options: AnswerOptions = {
    on_disconnect: { grace: GRACE_SECONDS },
    ...(model !== null && { model }),
    ...(id === null && system.value && { system: system.value }),
  };
  return {
    key: newIdempotencyKey(),
    user: user.value,
    conversation: id,
    parent,
    asked,
    edited,
    options,
  };
}

/** Send what an earlier load of this page was about to send when it was left. */
async function resume(): Promise<void> {
  const underWay = new Set([...asked.values()].map(({ outgoing }) => outgoing.key));
  const left = outbox.left(user.value).filter(({ key }) => !underWay.has(key));
  await Promise.all(left.map(deliver));
}

async function deliver(outgoing: outbox.Outgoing): Promise<void> {
  const { asked: wanted, conversation: place } = outgoing;
  const answer = expected(outgoing.options.model ?? null);
  const added =
    "content" in wanted ? [question(wanted.content, outgoing.parent), answer] : [answer];
  const withdraw = new AbortController();
  const mine: Pending = { outgoing, messages: added, withdraw };
  asked.set(place, mine);
  if (place === thread.id.value) pending.value = mine;
  const isShown = () => pending.value === mine;
  outbox.keep(outgoing);
  const options = {
    idempotencyKey: outgoing.key,
    baseUrl: base,
    headers,
    signal: withdraw.signal,
    onConnection: tellsWaiting(answer),
  };
  try {
    await write(outbox.post(outgoing, options), answer, (start) => began(start, mine, isShown()));
  } catch (error) {
    outbox.forget(outgoing.key);
    const busy = error instanceof ApiError && error.code === "conversation_busy" && error.answerId;
    if (!withdraw.signal.aborted && !busy) return giveUp(answer, error);
    // Taken back; or another tab or device asked first, and its answer is what is to be seen.
    asked.delete(place);
    giveBack(outgoing);
    if (!isShown()) return;
    pending.value = undefined;
    if (!busy) return;
    await refresh();
    // Who edits stays at the editor; the others are shown what is in the way.
    if (outgoing.edited === null && reading.has(busy)) await thread.choose(busy);
  }
}

/**
 * Put words that were not sent back to where they were written: into the editor of the question that
 * they change, or before whatever stands in the composer by now.
 */
function giveBack({ asked: wanted, edited }: outbox.Outgoing): void {
  if (!("content" in wanted)) return;
  if (edited !== null) edits.set(edited, wanted.content);
  else draft.value = [wanted.content, draft.value].filter(Boolean).join("\n\n");
}

/** There is nothing to read, or nothing more. */
function giveUp(answer: Shown, error: unknown): void {
  if (answer.id !== null) reading.delete(answer.id);
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
    await write(follow(id, { baseUrl: base, headers, onConnection: tellsWaiting(answer) }), answer);
  } catch (error) {
    giveUp(answer, error);
  }
}

/** Write an answer's events into its message, to the end. `onStart`: it was asked for here. */
async function write(
  events: AsyncGenerator<AnswerEvent>,
  answer: Shown,
  onStart?: (start: Start) => void,
): Promise<void> {
  const writer = new Writer(answer, onStart !== undefined);
  for await (const event of events) {
    writer.take(event);
    if (event.type === "start") onStart?.(event.data);
    if (event.type !== "end" || answer.id === null) continue;
    const place = reading.get(answer.id)?.conversation;
    reading.delete(answer.id);
    if (place && onStart) tell({ conversation: place, what: "ended" });
  }
}

/** What was asked for here has arrived: it is stored, and its conversation has an address. */
function began(start: Start, { outgoing, messages: added }: Pending, isShown: boolean): void {
  const place = start.conversation_id;
  asked.delete(outgoing.conversation);
  outbox.forget(outgoing.key);
  for (const message of added) {
    if (message.role === "user") message.id = start.question_id;
    else {
      message.parent = start.question_id;
      reading.set(start.answer_id, { conversation: place, message });
    }
  }
  if (isShown && thread.id.value === null) {
    thread.id.value = place;
    go(place, true);
  }
  if (thread.id.value === place) thread.put(added);
  if (isShown) void thread.choose(start.answer_id);
  tell({ conversation: place, what: "asked" });
  // The list learns of it, or of the title that its first question gave it.
  void api.conversation(place).then((read) => {
    conversations.put(read);
    if (thread.id.value === place) conversation.value = read;
  }, conversations.load);
}

/** Stop the open conversation's answer; a question that was not taken yet is taken back. */
function halt(): void {
  if (live.value?.id)
    void stop(live.value.id, { baseUrl: base, headers }).catch(() => undefined); // `end` says how it went
  else if (isAsking()) pending.value?.withdraw.abort();
}

/** Show another branch; not while one is begun, which will be the one to show. */
async function choose(message: Shown): Promise<void> {
  if (message.id !== null && !isAsking()) await thread.choose(message.id);
}

/** Keep the system prompt: with the conversation if there is one, else for its first question. */
async function setSystem(text: string): Promise<void> {
  if (conversation.value) {
    const changed = await api.change(conversation.value.id, { system: text || null });
    if (thread.id.value === changed.id) conversation.value = changed;
    else return;
  }
  system.value = text;
}

const tellsWaiting = (answer: Shown) => (connection: string) => {
  if (connection !== "connecting") answer.waiting = connection === "waiting";
};

export const exchange = {
  ...{ conversation, path, live, state, trouble, system, draft, edits, atEnd },
  older: thread.older,
  /** Conversations in which something is being written, for the list. */
  busy: computed(() => new Set([...reading.values()].map(({ conversation }) => conversation))),
  ...{ open, refresh, send, edit, again, resume, choose, halt, setSystem },
  ...{ loadOlder: thread.loadOlder, siblings: thread.siblings },
};
