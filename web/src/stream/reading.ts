/** A response's body as typed events. Owns no connection: it is given the bytes. */

import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ProtocolError } from "./errors";
import type { AnswerEvent } from "./types";

/**
 * Characters that one event may have. The server's longest is a `reset` with a whole answer, a
 * million characters by its default, and JSON may write each of them in six.
 */
const MAX_EVENT_CHARS = 8_000_000;

/** An event, and the id behind which a later connection goes on. */
export interface Read {
  event: AnswerEvent;
  id: string | undefined;
}

/** What is told while reading, beside the events. */
export interface Ears {
  /** Some bytes arrived, be it only a comment: the connection lives. */
  heard(): void;
  /** The server says how long to wait before coming back. */
  retry(milliseconds: number): void;
}

/**
 * The events of `body`, as they arrive; several that came in one chunk are given one after the
 * other without a pause. Ends where the body ends, and lets go of the body when left early.
 *
 * Throws ProtocolError for what is not ours, and whatever `fetch` throws for a broken connection.
 */
export async function* read(body: ReadableStream<Uint8Array>, ears: Ears): AsyncGenerator<Read> {
  let arrived: Read[] = [];
  const parser = createParser({
    maxBufferSize: MAX_EVENT_CHARS,
    onEvent: (message) => {
      const read = parse(message);
      if (read) arrived.push(read);
    },
    onRetry: (milliseconds) => ears.retry(milliseconds),
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
      ears.heard();
      parser.feed(decoder.decode(value, { stream: true }));
      const events = arrived;
      arrived = [];
      yield* events;
    }
  } finally {
    // Already broken, there is nothing to let go of.
    await reader.cancel().catch(() => undefined);
  }
}

const TYPES = new Set(["start", "delta", "reset", "end"]);

/** The event that a message carries; undefined for a type that a later server may add. */
export function parse(
  message: Pick<EventSourceMessage, "event" | "id" | "data">,
): Read | undefined {
  const { event: type, id, data } = message;
  if (type === undefined || !TYPES.has(type)) return undefined;
  try {
    return { event: { type, data: JSON.parse(data) } as AnswerEvent, id };
  } catch {
    throw new ProtocolError(`the data of a ${type} event is not JSON`);
  }
}
