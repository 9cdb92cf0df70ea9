/**
 * The question that is on its way, kept by the tab until the server has said that it began.
 *
 * A page that is loaded again in between asks with the same key, which makes it the same question:
 * neither lost nor asked twice.
 */

import { ask, regenerate, type AnswerEvent, type AnswerOptions, type AskOptions } from "../stream";

export interface Outgoing {
  key: string;
  /** In which it is asked; null makes one. */
  conversation: string | null;
  /** The message behind which it stands: a question behind an answer, an answer behind its question. */
  parent: string | null;
  /** What is asked, or the answer beside which one more is wanted. */
  asked: { content: string } | { beside: string };
  options: AnswerOptions;
}

const PLACE = "headrace.asking";

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
  sessionStorage.setItem(PLACE, JSON.stringify(outgoing));
}

/** It arrived, or never will. */
export function forget(): void {
  sessionStorage.removeItem(PLACE);
}

/** What an earlier load of this page left. */
export function left(): Outgoing | null {
  return JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
}
