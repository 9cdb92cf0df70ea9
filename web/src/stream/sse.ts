/** Parses a response's body as Server-Sent Events. It is given the bytes and owns no connection. */

import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ProtocolError } from "./errors";
import type { AnswerEvent } from "./types";

/**
 * The most characters that one event may have. The longest that the server sends is a `reset` with a
 * whole answer: a million characters by default, each of which JSON may escape with six.
 */
const MAX_EVENT_CHARS = 8_000_000;

/** An event, and the id from which a later connection resumes; undefined if it has none. */
export interface ReceivedEvent {
  event: AnswerEvent;
  id: string | undefined;
}

/** What the reader reports besides events. */
export interface Callbacks {
  /** Bytes arrived, if only a comment: the connection is alive. */
  onBytes(): void;
  /** The server sent `retry:`, its delay before the first reconnect. */
  onRetry(milliseconds: number): void;
}

/**
 * Yields the events of `body` as they arrive; those that came in one chunk follow each other without
 * a pause. Returns where the body ends. Leaving the loop early cancels the body.
 *
 * Throws ProtocolError if the body is not one of Headrace's streams, and whatever `fetch` throws
 * when the connection breaks.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  callbacks: Callbacks,
): AsyncGenerator<ReceivedEvent> {
  let parsed: ReceivedEvent[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: (message) => {
      const received = parseEvent(message);
      if (received) parsed.push(received);
    },
    onRetry: (milliseconds) => callbacks.onRetry(milliseconds),
    onError: (error) => {
      if (error.type === "max-buffer-size-exceeded") throw new ProtocolError(error.message);
    },
  });
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      callbacks.onBytes();
      parser.feed(decoder.decode(value, { stream: true }));
      const events = parsed;
      parsed = [];
      yield* events;
    }
  } finally {
    // The body may have failed already, and then cancelling it throws the same error again.
    await reader.cancel().catch(() => undefined);
  }
}

const EVENT_TYPES = new Set(["start", "delta", "reset", "end"]);

/** Returns the event in a message; undefined for a type that a later server may add. */
export function parseEvent(
  message: Pick<EventSourceMessage, "event" | "id" | "data">,
): ReceivedEvent | undefined {
  const { event: type, id, data } = message;
  if (type === undefined || !EVENT_TYPES.has(type)) return undefined;
  try {
    return { event: { type, data: JSON.parse(data) } as AnswerEvent, id };
  } catch {
    throw new ProtocolError(`the data of a ${type} event is not JSON`);
  }
}
