/** The open conversation: loading it, asking in it, and changing what is shown of it. */

import { computed, ref, shallowReactive, shallowRef } from "vue";
import { api, codeOf, type Conversation, type Message } from "../api";
import { base } from "../base";
import { ApiError, newIdempotencyKey, stop, type AnswerOptions, type Start } from "../stream";
import { answerReaders, fail, readAnswer, updateReconnecting, writeEvents } from "./answerReaders";
import { conversations } from "./conversations";
import {
  fromStored,
  identityOf,
  newAnswer,
  newQuestion,
  type DisplayedMessage,
} from "./displayedMessage";
import { messageStore, type PendingTurn } from "./messageStore";
import * as outbox from "./outbox";
import { conversationId, navigate } from "./route";
import { headers, user } from "./session";
import { notifyTabs } from "./tabs";

/**
 * Seconds for which an answer goes on without a reader: enough for a reload, a tunnel or a look at
 * another app. An answer whose reader stays away for longer is not worth its cost.
 */
const GRACE_SECONDS = 60;

const { pending, path, leaf, live } = messageStore;
const conversation = shallowRef<Conversation | null>(null);
/** `missing` if it does not exist, `failed` if it could not be loaded. */
const state = ref<"ready" | "loading" | "missing" | "failed">("ready");
/** The code of the error for which the conversation could not be loaded. */
const loadError = ref("");
const systemPrompt = ref("");
/** The text in the composer. The text of a withdrawn question is put back there. */
const draft = ref("");
/** Texts of the questions that are being edited, by `identityOf` their messages. */
const edits = shallowReactive(new Map<string, string>());
/** Whether the end of the page is in sight; a user who has scrolled up is reading something. */
const isAtEnd = ref(true);

/**
 * Turns that the server has not accepted yet, or refused, by their conversation; null is a new one.
 * A conversation has one at most.
 */
const pendingTurns = new Map<string | null, PendingTurn>();

/** Whether the pending turn is being sent; one that was refused stays shown and is not. */
const isAsking = (): boolean => pending.value?.messages.at(-1)?.status === "asking";

/** Show the conversation in the URL. */
async function open(): Promise<void> {
  if (messageStore.id.value === conversationId.value) return;
  messageStore.reset(conversationId.value, pendingTurns.get(conversationId.value));
  conversation.value = null;
  systemPrompt.value = "";
  state.value = "ready";
  await refresh();
}

/** Load the open conversation from the server. Answers that are being read here are not disturbed. */
async function refresh(): Promise<void> {
  const id = messageStore.id.value;
  const isLoaded = messageStore.messages.value.length > 0;
  if (id === null || (isLoaded && isAsking())) return;
  if (!path.value.length) state.value = "loading";
  try {
    const [loaded, page] = await Promise.all([api.conversation(id), api.messages(id)]);
    // The user may have opened another conversation meanwhile, or asked a question in this one.
    if (id !== messageStore.id.value || (isLoaded && isAsking())) return;
    // A question may have been accepted meanwhile, which the loaded page may lack.
    if (!isLoaded && messageStore.messages.value.length) return await refresh();
    conversation.value = loaded;
    systemPrompt.value = loaded.system ?? "";
    conversations.upsert(loaded);
    await messageStore.merge(page, reusingMessages(), isAtEnd.value && !isEditing());
    if (id === messageStore.id.value) state.value = "ready";
  } catch (error) {
    if (id !== messageStore.id.value) return;
    if (error instanceof ApiError && error.status === 404) {
      messageStore.reset(id);
      state.value = "missing";
    } else {
      state.value = path.value.length ? "ready" : "failed";
      loadError.value = codeOf(error);
    }
  }
}

/** Whether a question on the shown path is being edited. */
function isEditing(): boolean {
  return path.value.some((message) => edits.has(identityOf(message)));
}

/**
 * Returns a function that makes displayed messages of loaded ones. It reuses those that are on the
 * page, and starts to read live answers.
 */
function reusingMessages(): (message: Message) => DisplayedMessage {
  const displayed = new Map(messageStore.messages.value.map((message) => [message.id, message]));
  return (message) => {
    const existing = answerReaders.get(message.id)?.message ?? displayed.get(message.id);
    if (message.status === "live") {
      const answer = existing ?? fromStored(message);
      if (!answerReaders.has(message.id))
        void readAnswer(message.id, message.conversation_id, answer);
      return answer;
    }
    // An answer that ended while it was not read here is replaced by what was stored.
    return existing && existing.status === message.status ? existing : fromStored(message);
  };
}

/** Ask after the last message shown, or in a new conversation. Resolves when the answer has ended. */
async function send(content: string, model: string | null): Promise<void> {
  await deliver(outboxEntry({ content }, leaf.value, model));
}

/** Ask an edited version of a question, on a branch beside it. */
async function edit(
  message: DisplayedMessage,
  content: string,
  model: string | null,
): Promise<void> {
  edits.delete(identityOf(message));
  await deliver(outboxEntry({ content }, message.parent, model, message.id));
}

/** Generate another answer to an answer's question; send the question again if it was refused. */
async function regenerate(answer: DisplayedMessage, model: string | null): Promise<void> {
  const refused = pending.value?.messages.includes(answer) && pending.value.entry;
  if (refused) await deliver(outboxEntry(refused.asked, refused.parent, model, refused.edited));
  else if (answer.id) await deliver(outboxEntry({ beside: answer.id }, answer.parent, model));
}

function outboxEntry(
  asked: outbox.OutboxEntry["asked"],
  parent: string | null,
  model: string | null,
  edited: string | null = null,
): outbox.OutboxEntry {
  const id = messageStore.id.value;
  const options: AnswerOptions = {
    on_disconnect: { grace: GRACE_SECONDS },
    ...(model !== null && { model }),
    ...(id === null && systemPrompt.value && { system: systemPrompt.value }),
  };
  const key = newIdempotencyKey();
  return { key, user: user.value, conversation: id, parent, asked, edited, options };
}

/** Send the questions that this tab had not finished sending when its page was left. */
async function resume(): Promise<void> {
  const sending = new Set([...pendingTurns.values()].map(({ entry }) => entry.key));
  const unsent = outbox.unsentBy(user.value).filter(({ key }) => !sending.has(key));
  await Promise.all(unsent.map(deliver));
}

/** Send an outbox entry, show it as pending until the server accepts it, and read its answer. */
async function deliver(entry: outbox.OutboxEntry): Promise<void> {
  const answer = newAnswer(entry.options.model ?? null);
  const messages =
    "content" in entry.asked ? [newQuestion(entry.asked.content, entry.parent), answer] : [answer];
  const turn: PendingTurn = { entry, messages, controller: new AbortController() };
  const { signal } = turn.controller;
  pendingTurns.set(entry.conversation, turn);
  if (entry.conversation === messageStore.id.value) pending.value = turn;
  const isShown = () => pending.value === turn;
  outbox.add(entry);
  const options = {
    idempotencyKey: entry.key,
    baseUrl: base,
    headers,
    signal,
    onConnection: updateReconnecting(answer),
  };
  try {
    await writeEvents(outbox.send(entry, options), answer, (start) =>
      onAccepted(start, turn, isShown()),
    );
  } catch (error) {
    outbox.remove(entry.key);
    const liveAnswer =
      error instanceof ApiError && error.code === "conversation_busy" && error.answerId;
    if (!signal.aborted && !liveAnswer) return fail(answer, error);
    // The question was withdrawn, or another tab or device asked first, whose answer is live.
    pendingTurns.delete(entry.conversation);
    restoreText(entry);
    if (!isShown()) return;
    pending.value = undefined;
    if (!liveAnswer) return;
    await refresh();
    // A user who edits a question stays at the editor; others are shown the live answer.
    if (entry.edited === null && answerReaders.has(liveAnswer))
      await messageStore.select(liveAnswer);
  }
}

/**
 * Put the text of a question that was not sent back to where it was written: into the editor of the
 * question that it changes, or into the composer before what was written there since.
 */
function restoreText({ asked, edited }: outbox.OutboxEntry): void {
  if (!("content" in asked)) return;
  if (edited !== null) edits.set(edited, asked.content);
  else draft.value = [asked.content, draft.value].filter(Boolean).join("\n\n");
}

/** The server has accepted a turn: its messages have ids now, and so has its conversation. */
function onAccepted(start: Start, { entry, messages }: PendingTurn, isShown: boolean): void {
  const id = start.conversation_id;
  pendingTurns.delete(entry.conversation);
  outbox.remove(entry.key);
  for (const message of messages) {
    if (message.role === "user") message.id = start.question_id;
    else {
      message.parent = start.question_id;
      answerReaders.set(start.answer_id, { conversation: id, message });
    }
  }
  if (isShown && messageStore.id.value === null) {
    messageStore.id.value = id;
    navigate(id, true);
  }
  if (messageStore.id.value === id) messageStore.append(messages);
  if (isShown) void messageStore.select(start.answer_id);
  notifyTabs({ conversation: id, what: "asked" });
  // Show a new conversation in the list, and the title that the server made of its first question.
  void api.conversation(id).then((loaded) => {
    conversations.upsert(loaded);
    if (messageStore.id.value === id) conversation.value = loaded;
  }, conversations.load);
}

/** Stop the open conversation's live answer, or withdraw its question if that is not accepted yet. */
function stopLive(): void {
  if (live.value?.id) {
    // If stopping fails, the answer's own stream still says how it ended.
    void stop(live.value.id, { baseUrl: base, headers }).catch(() => undefined);
  } else if (isAsking()) pending.value?.controller.abort();
}

/** Show another branch, unless a question is being sent, whose branch will be shown. */
async function selectBranch(message: DisplayedMessage): Promise<void> {
  if (message.id !== null && !isAsking()) await messageStore.select(message.id);
}

/** Store the system prompt with the conversation, or keep it for the first question of a new one. */
async function setSystemPrompt(text: string): Promise<void> {
  if (conversation.value) {
    const changed = await api.change(conversation.value.id, { system: text || null });
    if (messageStore.id.value !== changed.id) return;
    conversation.value = changed;
  }
  systemPrompt.value = text;
}

export const chat = {
  ...{ conversation, path, live, state, loadError, systemPrompt, draft, edits, isAtEnd },
  olderCursor: messageStore.olderCursor,
  /** The ids of the conversations with an answer that is being read here. */
  busyConversations: computed(
    () => new Set([...answerReaders.values()].map(({ conversation }) => conversation)),
  ),
  ...{ open, refresh, send, edit, regenerate, resume, selectBranch, stopLive, setSystemPrompt },
  ...{ loadOlder: messageStore.loadOlder, siblings: messageStore.siblings },
};
