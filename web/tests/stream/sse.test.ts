import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../src/stream";
import { readEvents, type ReceivedEvent } from "../../src/stream/sse";

const STREAM = [
  ": a comment",
  "retry: 250",
  "event: start",
  'data: {"answer_id":"a1"}',
  "",
  "id: 2",
  "event: delta",
  'data: {"text":"你好 🚰\\u2028"}',
  "",
  "event: later",
  "data: from a later server",
  "",
  "id: 2-end",
  "event: end",
  'data: {"status":"complete","finish_reason":"stop","usage":null,"timing":null}',
  "",
  "",
];

const EVENTS: ReceivedEvent[] = [
  { event: { type: "start", data: { answer_id: "a1" } as never }, id: undefined },
  { event: { type: "delta", data: { text: "你好 🚰\u2028" } }, id: "2" },
  {
    event: {
      type: "end",
      data: { status: "complete", finish_reason: "stop", usage: null, timing: null },
    },
    id: "2-end",
  },
];

function body(...chunks: Uint8Array[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      chunks.forEach((chunk) => controller.enqueue(chunk));
      controller.close();
    },
  });
}

async function events(
  stream: ReadableStream<Uint8Array>,
  retries: number[] = [],
): Promise<ReceivedEvent[]> {
  const found: ReceivedEvent[] = [];
  const callbacks = { onBytes: () => undefined, onRetry: (ms: number) => void retries.push(ms) };
  for await (const event of readEvents(stream, callbacks)) found.push(event);
  return found;
}

describe("reading a body", () => {
  test.each(["\n", "\r\n", "\r"])("lines may end in %j", async (lineEnd) => {
    const retries: number[] = [];
    const bytes = new TextEncoder().encode([...STREAM, ": beat", ""].join(lineEnd));

    expect(await events(body(bytes), retries)).toEqual(EVENTS);
    expect(retries).toEqual([250]);
  });

  test("where the chunks are cut never changes the events", async () => {
    const bytes = new TextEncoder().encode(STREAM.join("\n"));

    for (let at = 0; at <= bytes.length; at++) {
      expect(await events(body(bytes.slice(0, at), bytes.slice(at)))).toEqual(EVENTS);
    }
    expect(await events(body(...Array.from(bytes, (byte) => Uint8Array.of(byte))))).toEqual(EVENTS);
  });

  test("an event that is still open when the body ends is dropped", async () => {
    const cut = STREAM.join("\n").slice(0, -1);

    expect(await events(body(new TextEncoder().encode(cut)))).toEqual(EVENTS.slice(0, -1));
  });

  test("data that is not JSON is an error", async () => {
    const bytes = new TextEncoder().encode("event: delta\ndata: <html>\n\n");

    await expect(events(body(bytes))).rejects.toThrow(ProtocolError);
  });

  test("an event without an end is an error before it fills the memory", async () => {
    const line = new TextEncoder().encode("data: " + "x".repeat(1_000_000));

    await expect(events(body(...Array(9).fill(line)))).rejects.toThrow(ProtocolError);
  });
});
