/** Asking in the open conversation: questions, edited questions and other answers, until they end. */

import type { Attachment } from "../attachments/attachment";
import { allKept, forget, keepWithQuestion } from "../attachments/keeping";
import { attachmentTray } from "../attachments/tray";
import { ApiError, newIdempotencyKey, stop, type AnswerOptions, type Start } from "../stream";
import { answerReaders, fail, updateWaiting, writeEvents } from "./answerReaders";
import { chat } from "./chat";
import { conversations } from "./conversations";
import { deletions } from "./deletions";
import { newAnswer, newQuestion, type DisplayedMessage } from "./displayedMessage";
import { drafts } from "./drafts";
import { edits } from "./edits";
import { attachmentsOf } from "./files";
import { messageStore } from "./messageStore";
import { models } from "./models";
import { showNotice } from "./notice";
import * as outbox from "./outbox";
import { parametersFor, withParameters } from "./parameters";
import { pendingTurns, type PendingTurn } from "./pendingTurns";
import { navigate } from "./route";
import { api, server } from "./server";
import { mayKeep, user } from "./session";
import { notifyTabs } from "./tabs";

/**
 * Seconds for which an answer goes on without a reader: enough for a reload, a tunnel or a look at
 * another app. An answer whose reader stays away for longer is not worth its cost.
 */
const GRACE_SECONDS = 60;

/** The codes with which a question is refused that has to be shortened before it is sent again. */
const TOO_LONG = new Set(["question_too_long", "body_too_large", "too_large"]);

const { pending, leaf, live, isAsking } = messageStore;

/** Ask after the last message shown, or in a new conversation. Resolves when the answer has ended. */
async function send(
  content: string,
  model: string | null,
  attachments: readonly Attachment[] = [],
): Promise<void> {
  await deliver(outboxEntry(question(content, attachments), leaf.value, model), attachments);
}

/** A question as the outbox has it, without its attachments' contents. */
function question(
  content: string,
  attachments: readonly Attachment[],
): outbox.OutboxEntry["asked"] {
  return attachments.length
    ? { content, attached: attachments.map(({ key }) => key) }
    : { content };
}

/**
 * Ask an edited version of a question, with its attachments, on a branch beside it. Rejects if these
 * cannot be loaded.
 */
async function edit(
  message: DisplayedMessage,
  content: string,
  model: string | null,
): Promise<void> {
  edits.remove(message);
  // Of the conversation in which it was edited: another one may be open once all is loaded.
  const entry = outboxEntry({ content }, message.parent, model, message.id);
  const attachments = await attachmentsOf(message.blocks).catch((error) => {
    edits.set(message, content);
    throw error;
  });
  for (const each of attachments) keepWithQuestion(user.value, each);
  await deliver({ ...entry, asked: question(content, attachments) }, attachments);
}

/** Generate another answer to an answer's question; send the question again if it was refused. */
async function regenerate(answer: DisplayedMessage, model: string | null): Promise<void> {
  const refused = pending.value?.messages.includes(answer) && pending.value;
  if (refused) {
    const { asked, parent, edited } = refused.entry;
    await deliver(outboxEntry(asked, parent, model, edited), refused.attachments);
  } else if (answer.id) {
    await deliver(outboxEntry({ beside: answer.id }, answer.parent, model), []);
  }
}

function outboxEntry(
  asked: outbox.OutboxEntry["asked"],
  parent: string | null,
  model: string | null,
  edited: string | null = null,
): outbox.OutboxEntry {
  const id = messageStore.id.value;
  if (id !== null) deletions.keep(id); // the user has gone back to it, and goes on
  const parameters = chat.parameters.value;
  const options: AnswerOptions = {
    on_disconnect: { grace: GRACE_SECONDS },
    ...parametersFor(
      models.value.find((each) => each.id === model),
      parameters,
    ),
    ...(model !== null && { model }),
    ...(id === null && chat.systemPrompt.value && { system: chat.systemPrompt.value }),
  };
  const key = newIdempotencyKey();
  const entry = { key, user: user.value, conversation: id, parent, asked, edited, options };
  return id === null && Object.keys(parameters).length ? { ...entry, parameters } : entry;
}

/** The keys of questions that this page has sent, or has begun to look for the attachments of. */
const begun = new Set<string>();

/**
 * Send the questions that this tab had not finished sending when its page was left, and put back those
 * of tabs that are closed.
 */
async function resume(): Promise<void> {
  const unsent = outbox.unsentBy(user.value).filter(({ key }) => !begun.has(key));
  for (const { key } of unsent) begun.add(key);
  await Promise.all([...unsent.map(deliverKept), putBackLeft()]);
}

async function putBackLeft(): Promise<void> {
  for (const entry of await outbox.leftBy(user.value)) {
    if (begun.has(entry.key)) continue; // this tab sends it
    const attachments = await attachmentsKeptWith(entry);
    restore(entry, attachments ?? []);
    if (!attachments) showNotice("attachments_lost");
  }
}

/** The attachments of a question of an earlier page; null if not all of them are there any more. */
function attachmentsKeptWith({ asked, user }: outbox.OutboxEntry): Promise<Attachment[] | null> {
  return allKept(user, ("content" in asked && asked.attached) || []);
}

/** Send a question of an earlier page, if its attachments are still there; else put back its text. */
async function deliverKept(entry: outbox.OutboxEntry): Promise<void> {
  const attachments = await attachmentsKeptWith(entry);
  if (attachments) return deliver(entry, attachments);
  outbox.remove(entry);
  restore(entry, []);
  showNotice("attachments_lost");
}

/** Send an outbox entry, show it as pending until the server accepts it, and read its answer. */
async function deliver(
  entry: outbox.OutboxEntry,
  attachments: readonly Attachment[],
): Promise<void> {
  const answer = newAnswer(entry.options.model ?? null);
  const messages =
    "content" in entry.asked
      ? [newQuestion(entry.asked.content, attachments, entry.parent), answer]
      : [answer];
  const turn: PendingTurn = { entry, attachments, messages, controller: new AbortController() };
  const { signal } = turn.controller;
  begun.add(entry.key);
  const before = pendingTurns.get(entry.conversation);
  // A refused question makes room for the next one; if it is not this one again, it is not lost.
  if (before && isRefused(before) && before.entry.asked !== entry.asked)
    restore(before.entry, before.attachments);
  pendingTurns.set(entry.conversation, turn);
  if (entry.conversation === messageStore.id.value) pending.value = turn;
  const isShown = () => pending.value === turn;
  outbox.add(entry);
  const options = {
    idempotencyKey: entry.key,
    ...server,
    signal,
    onConnection: updateWaiting(answer),
  };
  try {
    await writeEvents(outbox.send(entry, attachments, options), answer, (start) =>
      onAccepted(start, turn, isShown()),
    );
  } catch (error) {
    outbox.remove(entry);
    const liveAnswer =
      error instanceof ApiError && error.code === "conversation_busy" && error.answerId;
    const isTooLong =
      error instanceof ApiError && TOO_LONG.has(error.code) && "content" in entry.asked;
    if (isTooLong) showNotice(error.code);
    if (!signal.aborted && !liveAnswer && !isTooLong) return fail(answer, error);
    // The question was withdrawn or is too long, or another tab or device asked first, whose answer
    // is live.
    pendingTurns.delete(entry.conversation);
    restore(entry, attachments);
    if (!isShown()) return;
    pending.value = undefined;
    if (!liveAnswer) return;
    await chat.refresh();
    // A user who edits a question stays at the editor; others are shown the live answer.
    if (entry.edited === null && answerReaders.has(liveAnswer))
      await messageStore.select(liveAnswer);
  }
}

/**
 * Put a question that was not sent back to where it was written: into the editor of the question that
 * it changes, which has its attachments, or into the composer before what was written there since.
 */
function restore(
  { asked, conversation, edited }: outbox.OutboxEntry,
  attachments: readonly Attachment[],
): void {
  if (!("content" in asked)) return;
  if (edited !== null) {
    edits.set({ id: edited, key: edited }, asked.content);
    forget(user.value, attachments);
  } else {
    drafts.putBack(conversation, asked.content);
    attachmentTray.putBack(conversation, attachments);
  }
}

const isRefused = ({ messages }: PendingTurn): boolean => messages.at(-1)?.status === "refused";

/** Put refused questions back, which the next page would neither show nor send. */
function restoreRefused(): void {
  if (!mayKeep()) return;
  for (const turn of pendingTurns.values()) {
    if (!isRefused(turn)) continue;
    pendingTurns.delete(turn.entry.conversation);
    if (pending.value === turn) pending.value = undefined;
    restore(turn.entry, turn.attachments);
  }
}

window.addEventListener("pagehide", restoreRefused);

/** The server has accepted a turn: its messages have ids now, and so has its conversation. */
function onAccepted(
  start: Start,
  { entry, attachments, messages }: PendingTurn,
  isShown: boolean,
): void {
  const id = start.conversation_id;
  pendingTurns.delete(entry.conversation);
  outbox.remove(entry);
  forget(entry.user, attachments);
  if (entry.conversation === null) {
    drafts.moveNewTo(id);
    attachmentTray.moveNewTo(id);
  }
  if (entry.options.model === drafts.read("model", id)) drafts.write("model", id, "");
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
  if (entry.conversation === null) chat.forgetNewSettings(entry.options.system ?? "");
  if (messageStore.id.value === id) messageStore.append(messages);
  if (isShown) void messageStore.select(start.answer_id);
  // What came before could not be loaded if the server was away when the conversation was opened.
  if (messageStore.id.value === id && !messageStore.isLoaded.value) void chat.refresh();
  notifyTabs({ conversation: id, what: "asked" });
  // Show a new conversation in the list, and the title that the server made of its first question.
  const stored = entry.parameters
    ? api.change(id, { metadata: withParameters({}, entry.parameters) })
    : api.conversation(id);
  void stored.then((loaded) => {
    conversations.upsert(loaded);
    if (messageStore.id.value === id) chat.show(loaded);
  }, conversations.load);
}

/** Stop the open conversation's live answer, or withdraw its question if that is not accepted yet. */
function stopLive(): void {
  if (live.value?.id) {
    // If stopping fails, the answer's own stream still says how it ended.
    void stop(live.value.id, server).catch(() => undefined);
  } else if (isAsking.value) pending.value?.controller.abort();
}

export const asking = { send, edit, regenerate, resume, stopLive };
