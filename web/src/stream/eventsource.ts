/**
 * Reads answers with the browser's own `EventSource`, for pages that want no other SSE parser.
 *
 *     const { answer_id } = await askAsync({ content: "你好" });
 *     const close = followWithEventSource(answer_id, { onEvent: (event) => applyEvent(blocks, event) });
 *
 * An EventSource cannot send a POST, so `askAsync` asks the question first. It reconnects by itself,
 * with `Last-Event-ID`, as long as the server responds with 200; after any other response it closes
 * for good, and `followWithEventSource` opens another one after the last event, with backoff. It
 * cannot send headers either: where a key is needed, `askAsync` sends it, and `createTicket`
 * exchanges it for a ticket that goes into the EventSource's URL.
 *
 * Prefer `./client` where you can: it also notices connections that are open but silent, reconnects
 * at once when the network is back, and reports why it was refused.
 */

import type { HeaderValues } from "./authHeaders";
import { Backoff, browserReconnectTrigger, waitForRetry } from "./backoff";
import { newIdempotencyKey } from "./client";
import { ApiError } from "./errors";
import { parseEvent } from "./sse";
import type { AnswerEvent, Question } from "./types";

/** The server's response to a question that is answered in the background. */
export interface AcceptedQuestion {
  conversation_id: string;
  question_id: string;
  answer_id: string;
  events_url: string;
}

/**
 * Ask a question without reading its answer; the server gives the first reader ten seconds to come.
 * `headers` are sent along, such as `Authorization`.
 */
export async function askAsync(
  question: Question,
  idempotencyKey: string = newIdempotencyKey(),
  headers: HeaderValues = {},
  baseUrl = "",
): Promise<AcceptedQuestion> {
  const response = await fetch(`${baseUrl}/api/v1/chat`, {
    method: "POST",
    headers: {
      ...headers,
      "Content-Type": "application/json",
      "Idempotency-Key": idempotencyKey,
      Prefer: "respond-async",
    },
    body: JSON.stringify(question),
  });
  if (!response.ok) throw await ApiError.fromResponse(response);
  return response.json();
}

/** Get a ticket to read an answer's events. It is valid until a minute after the answer has ended. */
export async function createTicket(
  answerId: string,
  headers: HeaderValues,
  baseUrl = "",
): Promise<string> {
  const path = `/api/v1/answers/${answerId}/ticket`;
  const response = await fetch(`${baseUrl}${path}`, { method: "POST", headers });
  if (!response.ok) throw await ApiError.fromResponse(response);
  return (await response.json()).ticket;
}

export interface EventSourceOptions {
  onEvent: (event: AnswerEvent) => void;
  baseUrl?: string;
  /** Returns a ticket for this answer, such as from `createTicket`. Called for each EventSource. */
  ticket?: () => Promise<string>;
  /** Replaces the global `EventSource`. */
  EventSource?: typeof EventSource;
}

/** Read an answer to its end. Returns a function that stops reading earlier. */
export function followWithEventSource(answerId: string, options: EventSourceOptions): () => void {
  const EventSourceClass = options.EventSource ?? EventSource;
  const controller = new AbortController();
  const backoff = new Backoff();
  let lastEventId = "";
  let source: EventSource | undefined;

  const open = async () => {
    const parameters = new URLSearchParams();
    if (lastEventId) parameters.set("after", lastEventId);
    if (options.ticket) parameters.set("ticket", await options.ticket());
    if (controller.signal.aborted) return;
    const query = parameters.size ? `?${parameters}` : "";
    source = new EventSourceClass(
      `${options.baseUrl ?? ""}/api/v1/answers/${answerId}/events${query}`,
    );
    for (const type of ["start", "delta", "reset", "end"]) source.addEventListener(type, onMessage);
    source.addEventListener("error", onError);
  };
  const onMessage = (message: MessageEvent<string>) => {
    const event = parseEvent({
      event: message.type,
      id: message.lastEventId,
      data: message.data,
    })?.event;
    if (!event) return;
    backoff.reset();
    lastEventId = message.lastEventId || lastEventId;
    if (event.type === "end") close(); // otherwise the EventSource would reconnect
    options.onEvent(event);
  };
  const onError = () => {
    if (source?.readyState === EventSourceClass.CLOSED) void reopen();
  };
  const reopen = (): Promise<void> =>
    waitForRetry(backoff.nextDelayMs(), controller.signal, browserReconnectTrigger)
      .then(open)
      .catch(() => (controller.signal.aborted ? undefined : reopen()));
  const close = () => {
    controller.abort();
    source?.close();
  };

  open().catch(reopen);
  return close;
}
