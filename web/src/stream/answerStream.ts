/** Reads one answer over as many connections as it takes, until its `end` event. */

import { AuthHeaders } from "./authHeaders";
import { browserReconnectTrigger } from "./backoff";
import { Connection, IDLE_TIMEOUT_MS } from "./connection";
import { ApiError } from "./errors";
import type { StreamOptions } from "./options";
import { eventsRequest, isEventStream, isTemporary, send, type ApiRequest } from "./request";
import { Retrying } from "./retrying";
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
  const retrying = new Retrying(options, (waiting) => options.onConnection?.("waiting", waiting));
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
      typeof request.init.body === "string" ? request.init.body.length : 0,
    );
    let retryAtOnce = false;
    let refusal: ApiError | undefined;
    try {
      const response = await send(options, headers, connection.signal, request);
      if (response) connection.bytesReceived();
      if (response?.ok) authHeaders.accepted();
      if (response?.status === 204) return; // it had been read to its end before
      if (response && !response.ok) {
        refusal = await ApiError.fromResponse(response);
        if (response.status === 401) retryAtOnce = authHeaders.rejected(refusal, headers);
        else if (!isTemporary(response)) throw refusal;
      }
      if (response?.ok && response.body && isEventStream(response)) {
        options.onConnection?.("open");
        const callbacks = {
          onBytes: () => connection.bytesReceived(),
          onRetry: (milliseconds: number) => retrying.backoff.setBase(milliseconds),
        };
        try {
          for await (const { event, id } of readEvents(response.body, callbacks)) {
            retrying.backoff.reset();
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
    await retrying.wait(request.init, refusal);
  }
}

/** Whether reading failed because the connection broke, and not because of a bug. */
function isConnectionLoss(error: unknown, connection: Connection): boolean {
  return connection.signal.aborted || error instanceof TypeError;
}
