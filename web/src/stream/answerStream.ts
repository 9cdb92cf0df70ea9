/** Reads one answer over as many connections as it takes, until its `end` event. */

import { AuthHeaders } from "./authHeaders";
import { Backoff, browserReconnectTrigger, waitForRetry } from "./backoff";
import { Connection, IDLE_TIMEOUT_MS } from "./connection";
import { ApiError } from "./errors";
import type { StreamOptions } from "./options";
import {
  eventsRequest,
  isEventStream,
  isTemporary,
  retryAfterMs,
  send,
  type ApiRequest,
} from "./request";
import { readEvents } from "./sse";
import type { AnswerEvent } from "./types";

/**
 * Yields the events that `request` is answered with, reconnecting after each lost connection.
 *
 * `request` asks for an answer or reads one. It is sent again, unchanged, until a `start` event has
 * named the answer; from then on each connection reads that answer after its last event. If
 * `request` itself resumes after an event, `lastEventId` is that event's id.
 */
export async function* streamAnswer(
  request: ApiRequest,
  options: StreamOptions,
  lastEventId?: string,
): AsyncGenerator<AnswerEvent> {
  const trigger = options.reconnectTrigger ?? browserReconnectTrigger;
  const backoff = new Backoff(options.random);
  const authHeaders = new AuthHeaders(options.headers, options.signal);
  let answerId: string | undefined;
  for (;;) {
    options.signal?.throwIfAborted();
    // Getting headers may mean that a user has to sign in, so the idle timeout starts after it.
    const headers = await authHeaders.next();
    options.onConnection?.("connecting");
    const connection = new Connection(
      options.signal,
      trigger,
      options.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    );
    let retryAtOnce = false;
    try {
      const response = await send(options, headers, connection.signal, request);
      if (response?.ok) authHeaders.accepted();
      if (response?.status === 204) return; // it had been read to its end before
      if (response?.status === 401)
        retryAtOnce = authHeaders.rejected(await ApiError.fromResponse(response), headers);
      else if (response && !response.ok && !isTemporary(response))
        throw await ApiError.fromResponse(response);
      if (response && !response.ok) backoff.setMinimum(retryAfterMs(response));
      if (response?.ok && response.body && isEventStream(response)) {
        options.onConnection?.("open");
        const callbacks = {
          onBytes: () => connection.bytesReceived(),
          onRetry: (milliseconds: number) => backoff.setBase(milliseconds),
        };
        try {
          for await (const { event, id } of readEvents(response.body, callbacks)) {
            backoff.reset();
            lastEventId = id ?? lastEventId;
            if (event.type === "start") {
              const isRepeated = answerId !== undefined; // each connection begins with one
              answerId = event.data.answer_id;
              if (isRepeated) continue;
            }
            yield event;
            if (event.type === "end") return;
          }
        } catch (error) {
          if (!isConnectionLoss(error, connection)) throw error;
        }
      }
    } finally {
      connection.close();
    }
    if (answerId !== undefined) request = eventsRequest(answerId, lastEventId);
    if (retryAtOnce) continue;
    options.signal?.throwIfAborted();
    options.onConnection?.("waiting");
    await waitForRetry(backoff.nextDelayMs(), options.signal, trigger);
  }
}

/** Whether reading failed because the connection broke, and not because of a bug. */
function isConnectionLoss(error: unknown, connection: Connection): boolean {
  return connection.signal.aborted || error instanceof TypeError;
}
