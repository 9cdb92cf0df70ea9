/**
 * The questions that are on their way, kept by the tab until the server has said that they began.
 *
 * A page that is loaded again in between asks with the same key, which makes it the same question:
 * neither lost nor asked twice. Each is its user's: nobody else asks it.
 */

import { ask, regenerate, type AnswerEvent, type AnswerOptions, type AskOptions } from "../stream";
import { tab } from "./kept";

export interface Outgoing {
  key: string;
  /** Who asks; null where the server wants nobody's name. */
  user: string | null;
  /** In which it is asked; null makes one. */
  conversation: string | null;
  /** The message behind which it stands: a question behind an answer, an answer behind its question. */
  parent: string | null;
  /** What is asked, or the answer beside which one more is wanted. */
  asked: { content: string } | { beside: string };
  /** The question that this one is in other words. */
  edited: string | null;
  options: AnswerOptions;
}

const PLACE = "headrace.outbox";

/** Ask for it, and read what is answered. `how` carries its key. */
export function post(
  { asked, conversation, parent, options }: Outgoing,
  how: AskOptions,
): AsyncGenerator<AnswerEvent> {
  if ("beside" in asked) return regenerate(asked.beside, options, how);
  const place = conversation === null ? {} : { conversation_id: conversation, parent_id: parent };
  return ask({ ...asked, ...place, ...options }, how);
}

export function keep(outgoing: Outgoing): void {
  put([...all().filter(({ key }) => key !== outgoing.key), outgoing]);
}

/** It arrived, or never will. */
export function forget(key: string): void {
  put(all().filter((outgoing) => outgoing.key !== key));
}

/** What an earlier load of this page left, of this user; of others nothing is kept once one is known. */
export function left(user: string | null): Outgoing[] {
  const own = all().filter((outgoing) => outgoing.user === user);
  if (user !== null) put(own);
  return own;
}

/** One for each conversation at most: a question waits for the answer to the one before. */
function all(): Outgoing[] {
  return JSON.parse(tab.read(PLACE) ?? "[]");
}

function put(outgoing: Outgoing[]): void {
  tab.write(PLACE, outgoing.length ? JSON.stringify(outgoing) : null);
}
