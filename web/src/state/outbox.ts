/**
 * Questions that are being sent, kept in the tab's storage until the server has accepted them.
 *
 * A page that is reloaded before that sends them again under the same idempotency key, so that none
 * is lost or asked twice. Each belongs to the user who asked it and is sent for no other user.
 */

import type { Attachment } from "../attachments/attachment";
import { questionParts } from "../attachments/parts";
import { ask, regenerate, type AnswerEvent, type AnswerOptions, type AskOptions } from "../stream";
import { hasTexts, tabStorage } from "./browserStorage";
import * as leftQuestions from "./leftQuestions";
import type { Parameters } from "./parameters";

/** One question, with the field names that it has in the tab's storage. */
export interface OutboxEntry {
  /** The idempotency key. */
  key: string;
  /** The user who asks; null if the server does not authenticate users. */
  user: string | null;
  /** The conversation; null if the question starts one. */
  conversation: string | null;
  /** The message to follow: an answer if a question is asked, its question if an answer is. */
  parent: string | null;
  /** A question's text, with the keys of its attachments, or the answer to regenerate. */
  asked: { content: string; attached?: readonly string[] } | { beside: string };
  /** The question of which this one is an edited version. */
  edited: string | null;
  options: AnswerOptions;
  /** The parameters of a new conversation, which it keeps once it is there. */
  parameters?: Parameters;
}

const STORAGE_NAME = "headrace.outbox";

/** What a header may contain. With another key `fetch` throws, as if the network were away for ever. */
const VALID_KEY = /^[\x21-\x7e]+$/;

/** Ask, and read the answer. `askOptions` contains the entry's idempotency key. */
export async function* send(
  { asked, conversation, parent, options }: OutboxEntry,
  attachments: readonly Attachment[],
  askOptions: AskOptions,
): AsyncGenerator<AnswerEvent> {
  if ("beside" in asked) return yield* regenerate(asked.beside, options, askOptions);
  const place = conversation === null ? {} : { conversation_id: conversation, parent_id: parent };
  const content = attachments.length
    ? await questionParts(asked.content, attachments)
    : asked.content;
  yield* ask({ content, ...place, ...options }, askOptions);
}

export function add(entry: OutboxEntry): void {
  leftQuestions.keep(entry.user, entry.key, entry);
  write([...readAll().filter(({ key }) => key !== entry.key), entry]);
}

/** Remove a question that the server has accepted or refused. */
export function remove({ user, key }: OutboxEntry): void {
  leftQuestions.drop(user, key);
  write(readAll().filter((entry) => entry.key !== key));
}

/**
 * The user's questions that this tab had not finished sending when its page was left. Once a user is
 * known, those of other users are removed.
 */
export function unsentBy(user: string | null): OutboxEntry[] {
  const entries = readAll();
  if (user !== null) for (const entry of entries) if (entry.user !== user) remove(entry);
  return entries.filter((entry) => entry.user === user);
}

/** The user's questions that tabs had not finished sending which were closed since. */
export async function leftBy(user: string | null): Promise<OutboxEntry[]> {
  return (await leftQuestions.take(user)).filter(isEntry).filter((entry) => entry.user === user);
}

/** At most one per conversation, because a conversation has one live answer at a time. */
function readAll(): OutboxEntry[] {
  const stored = tabStorage.readJson<unknown[]>(STORAGE_NAME, Array.isArray) ?? [];
  return stored.filter(isEntry);
}

/** Whether a value from storage can be sent; a damaged entry would keep the others from it. */
function isEntry(value: unknown): value is OutboxEntry {
  if (!hasTexts(value, "key") || !VALID_KEY.test(value.key)) return false;
  const { user, conversation, parent, edited, asked, options } = value as Partial<OutboxEntry>;
  const areIds = [user, conversation, parent, edited].every(
    (id) => id === null || typeof id === "string",
  );
  const isQuestion =
    hasTexts(asked, "content") && (!("attached" in asked) || isList(asked.attached));
  const isAsked = isQuestion || hasTexts(asked, "beside");
  return areIds && isAsked && typeof options === "object" && options !== null;
}

const isList = (value: unknown): boolean =>
  Array.isArray(value) && value.every((each) => typeof each === "string");

function write(entries: OutboxEntry[]): void {
  tabStorage.write(STORAGE_NAME, entries.length ? JSON.stringify(entries) : null);
}
