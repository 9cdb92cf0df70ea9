/**
 * The answers that this page is reading, in any conversation.
 *
 * An answer is read on while its reader looks at another conversation, because leaving its stream
 * would stop it. Other tabs are not sent what arrives: each reads the answer itself, as another
 * device would.
 */

import { shallowReactive } from "vue";
import {
  ApiError,
  follow,
  type AnswerEvent,
  type ConnectionState,
  type Start,
  type Waiting,
} from "../stream";
import { AnswerWriter } from "./answerWriter";
import type { DisplayedMessage } from "./displayedMessage";
import { server } from "./server";
import { notifyTabs } from "./tabs";
import { unread } from "./unread";

/** The answers by their ids, with the conversation of each and the message that is written to. */
export const answerReaders = shallowReactive(
  new Map<string, { conversation: string; message: DisplayedMessage }>(),
);

/** Read an answer that another page asked for, or this one before it was reloaded. */
export async function readAnswer(
  id: string,
  conversation: string,
  answer: DisplayedMessage,
): Promise<void> {
  answerReaders.set(id, { conversation, message: answer });
  try {
    const onConnection = updateWaiting(answer);
    await writeEvents(follow(id, { ...server, onConnection }), answer);
  } catch (error) {
    fail(answer, error);
  }
}

/** Write an answer's events into its message, to the end. `onStart` is given if it is asked here. */
export async function writeEvents(
  events: AsyncGenerator<AnswerEvent>,
  answer: DisplayedMessage,
  onStart?: (start: Start) => void,
): Promise<void> {
  const writer = new AnswerWriter(answer, onStart !== undefined);
  for await (const event of events) {
    writer.write(event);
    if (event.type === "start") onStart?.(event.data);
    if (event.type !== "end" || answer.id === null) continue;
    const conversation = answerReaders.get(answer.id)?.conversation;
    answerReaders.delete(answer.id);
    if (!conversation) continue;
    if (event.data.status !== "stopped") unread.ended(conversation);
    if (onStart) notifyTabs({ conversation, what: "ended" });
  }
}

/** Show that an answer cannot be read, or that its question was refused. */
export function fail(answer: DisplayedMessage, error: unknown): void {
  if (answer.id !== null) answerReaders.delete(answer.id);
  answer.status = answer.id === null ? "refused" : "failed";
  const { code, message, requestId, retryAfterMs } =
    error instanceof ApiError ? error : new ApiError(0, "unreadable", String(error));
  answer.waiting =
    retryAfterMs === null ? null : { code, message, until: Date.now() + retryAfterMs };
  answer.error = { code, message, ...(requestId !== null && { request_id: requestId }) };
}

/** Returns an `onConnection` that shows at an answer what its request is waiting for. */
export const updateWaiting =
  (answer: DisplayedMessage) =>
  (state: ConnectionState, waiting: Waiting | null = null): void => {
    // While it connects again the reason stays: it is known to be over when the server answers.
    if (state !== "connecting") answer.waiting = waiting;
  };
