/**
 * The same answers by plain `EventSource`, for those who want nothing but what browsers bring.
 *
 *     const { answer_id } = await askLater({ content: "你好" });
 *     const close = followByEventSource(answer_id, { onEvent: (event) => take(blocks, event) });
 *
 * An EventSource cannot POST, so the question goes ahead by `askLater`. It comes back by itself,
 * with `Last-Event-ID`, for as long as it is answered with 200. On anything else it gives up for
 * good: then this opens another one behind the last event, after the usual waits. It sends no
 * headers of ours: where a key is needed, `askLater` sends it, and `ticketFor` gets with it what
 * stands in the address in its place.
 *
 * What `./client` does beyond this: it notices a connection that only looks alive, comes back at
 * once when the network does, and can say why it was refused.
 */

import { newKey } from "./client";
import type { HeaderValues } from "./authHeaders";
import { ApiError } from "./errors";
import { parse } from "./reading";
import type { AnswerEvent, Question } from "./types";
import { Backoff, browserWakeUps, wait } from "./waiting";

/** Where a question's answer can be read. */
export interface Accepted {
  conversation_id: string;
  question_id: string;
  answer_id: string;
  events_url: string;
}

/**
 * Ask, and leave the answer to be read; the server waits ten seconds for its first reader. `headers`
 * are sent besides, such as `Authorization`.
 */
export async function askLater(
  question: Question,
  key: string = newKey(),
  headers: HeaderValues = {},
  baseUrl = "",
): Promise<Accepted> {
  const response = await fetch(`${baseUrl}/api/v1/chat`, {
    method: "POST",
    headers: {
      ...headers,
      "Content-Type": "application/json",
      "Idempotency-Key": key,
      Prefer: "respond-async",
    },
    body: JSON.stringify(question),
  });
  if (!response.ok) throw await ApiError.of(response);
  return response.json();
}

/** A ticket that reads the events of this answer, until it is over and for a minute more. */
export async function ticketFor(
  answerId: string,
  headers: HeaderValues,
  baseUrl = "",
): Promise<string> {
  const path = `/api/v1/answers/${answerId}/ticket`;
  const response = await fetch(`${baseUrl}${path}`, { method: "POST", headers });
  if (!response.ok) throw await ApiError.of(response);
  return (await response.json()).ticket;
}

export interface EventSourceOptions {
  onEvent: (event: AnswerEvent) => void;
  baseUrl?: string;
  /** Fetches a ticket for this answer's events, as by `ticketFor`; asked for every new EventSource. */
  ticket?: () => Promise<string>;
  /** In place of the global one. */
  EventSource?: typeof EventSource;
}

/** Read an answer to its end. Returns what ends it before. */
export function followByEventSource(answerId: string, options: EventSourceOptions): () => void {
  const Source = options.EventSource ?? EventSource;
  const left = new AbortController();
  const backoff = new Backoff();
  let lastEventId = "";
  let source: EventSource | undefined;

  const open = async () => {
    const address = new URLSearchParams();
    if (lastEventId) address.set("after", lastEventId);
    if (options.ticket) address.set("ticket", await options.ticket());
    if (left.signal.aborted) return;
    const query = address.size ? `?${address}` : "";
    source = new Source(`${options.baseUrl ?? ""}/api/v1/answers/${answerId}/events${query}`);
    for (const type of ["start", "delta", "reset", "end"]) source.addEventListener(type, took);
    source.addEventListener("error", failed);
  };
  const took = (message: MessageEvent<string>) => {
    const event = parse({
      event: message.type,
      id: message.lastEventId,
      data: message.data,
    })?.event;
    if (!event) return;
    backoff.worked();
    lastEventId = message.lastEventId || lastEventId;
    if (event.type === "end") close(); // or it would come back to ask for more
    options.onEvent(event);
  };
  const failed = () => {
    if (source?.readyState === Source.CLOSED) void openLater();
  };
  const openLater = (): Promise<void> =>
    wait(backoff.next(), left.signal, browserWakeUps)
      .then(open)
      .catch(() => (left.signal.aborted ? undefined : openLater()));
  const close = () => {
    left.abort();
    source?.close();
  };

  open().catch(openLater);
  return close;
}
