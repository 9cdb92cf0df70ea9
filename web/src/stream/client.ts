/**
 * The stream client's functions: ask a question, read its answer to the end, stop it.
 *
 *     for await (const event of ask({ content: "你好" }, { signal })) {
 *       applyEvent(blocks, event);
 *     }
 *
 * The loop ends after the `end` event. Leaving it early or aborting `signal` closes the connection;
 * whether that stops the answer depends on the question's `on_disconnect`. `stop` stops an answer
 * in any case and for all its readers.
 *
 * What the client guarantees, each with a test:
 *
 * - A question is asked once. Its POST carries an `Idempotency-Key` and is sent again, with the same
 *   key and body, only until its `start` event has arrived; from then on the answer is read by its
 *   id. The same holds for `regenerate`. A tab that becomes visible or a network that comes back
 *   never sends a POST that was not already being sent.
 * - No event is lost or delivered twice: each connection resumes after the last event's id.
 * - A lost connection is never an error: it reconnects until the caller leaves, after growing,
 *   jittered delays, at once when the network is back, and also when a connection is open but silent.
 * - A question that the server refuses for now (429, 503), or that a proxy cannot pass on to it, is
 *   sent again when the server says, for a minute; then, or at once if the server names a later time,
 *   the refusal is thrown. `onConnection` says what it is waiting for, and until when.
 * - A 401 ends a stream only if `headers` has no other headers to offer. With new ones a question is
 *   sent again under its key, and an answer goes on after its last event.
 */

import { streamAnswer } from "./answerStream";
import { AuthHeaders } from "./authHeaders";
import { ApiError } from "./errors";
import type { AskOptions, FollowOptions, StreamOptions } from "./options";
import { askRequest, eventsRequest, isTemporary, send } from "./request";
import { Retrying } from "./retrying";
import type { AnswerEvent, AnswerOptions, Question } from "./types";

/** Ask a question and read its answer. Throws ApiError if the server refuses the question. */
export function ask(question: Question, options: AskOptions = {}): AsyncGenerator<AnswerEvent> {
  const key = options.idempotencyKey ?? newIdempotencyKey();
  return streamAnswer(askRequest("/api/v1/chat", question, key), options);
}

/**
 * Ask for another answer to the same question and read that. The earlier answer is kept beside it.
 * `answerOptions` may choose another model, among others.
 */
export function regenerate(
  answerId: string,
  answerOptions: AnswerOptions = {},
  options: AskOptions = {},
): AsyncGenerator<AnswerEvent> {
  const key = options.idempotencyKey ?? newIdempotencyKey();
  const path = `/api/v1/answers/${answerId}/regenerate`;
  return streamAnswer(askRequest(path, answerOptions, key), options);
}

/** Read an answer that was asked for before, here or elsewhere, whether it is live or has ended. */
export function follow(answerId: string, options: FollowOptions = {}): AsyncGenerator<AnswerEvent> {
  const { lastEventId } = options;
  return streamAnswer(eventsRequest(answerId, lastEventId), options, lastEventId);
}

/** Stop a live answer for all its readers; their streams then receive `end`. */
export async function stop(answerId: string, options: StreamOptions = {}): Promise<void> {
  const retrying = new Retrying(options);
  const authHeaders = new AuthHeaders(options.headers, options.signal);
  const request = { path: `/api/v1/answers/${answerId}/stop`, init: { method: "POST" } };
  for (;;) {
    const headers = await authHeaders.next();
    // Stopping an answer that has ended changes nothing, so this may be sent any number of times.
    const response = await send(options, headers, options.signal, request);
    if (response?.ok) return;
    const refusal = response && (await ApiError.fromResponse(response));
    if (refusal?.status === 401 && authHeaders.rejected(refusal, headers)) continue;
    if (response && response.status !== 401 && !isTemporary(response)) throw refusal;
    await retrying.wait(request.init, refusal);
  }
}

/** 128 random bits. Unlike `crypto.randomUUID` this also works on a page served over plain HTTP. */
export function newIdempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
