import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Message } from "../../src/api";
import { expected, stored, Writer } from "../../src/state/messages";
import type { Delta, End, Timing } from "../../src/stream";

const TIMING: Timing = { first_token_ms: 400, reasoning_ms: 1800, total_ms: 2900 };
const END: End = { status: "complete", finish_reason: "stop", usage: null, timing: TIMING };

// Nothing is drawn before the end: no test here looks at the words.
beforeEach(() => void vi.stubGlobal("requestAnimationFrame", () => 1));
beforeEach(() => void vi.stubGlobal("cancelAnimationFrame", () => undefined));
afterEach(() => void vi.unstubAllGlobals());
afterEach(() => void vi.restoreAllMocks());

/** An answer that grew by these at so many milliseconds of the tab's own clock. */
function grown(watched: boolean, deltas: [number, Delta][]) {
  const message = expected("m");
  const writer = new Writer(message, watched);
  for (const [time, data] of deltas) {
    vi.spyOn(performance, "now").mockReturnValue(time);
    writer.take({ type: "delta", data });
  }
  return { message, writer };
}

const THOUGHT: [number, Delta][] = [
  [5000, { reasoning: "h" }],
  [6000, { reasoning: "m" }],
  [9000, { text: "a" }],
  [9900, { text: "b" }],
];

test("while an answer is live its reasoning is timed here, if it is watched from its beginning", () => {
  expect(grown(true, THOUGHT).message.reasoning).toBe(4000);
  expect(grown(true, THOUGHT.slice(0, 2)).message.reasoning).toBe(null);
  expect(grown(false, THOUGHT).message.reasoning).toBe(null);
  expect(grown(true, THOUGHT).message.timing).toBe(null);
});

test.each([true, false])("its end brings the server's times, watched: %s", (watched) => {
  const { message, writer } = grown(watched, THOUGHT);

  writer.take({ type: "end", data: END });

  expect(message.timing).toEqual(TIMING);
  expect(message.reasoning).toBe(TIMING.reasoning_ms);
});

test("nothing measured here outlives an end that knows no times", () => {
  const { message, writer } = grown(true, THOUGHT);

  writer.take({ type: "end", data: { ...END, status: "interrupted", timing: null } });

  expect(message.timing).toBe(null);
  expect(message.reasoning).toBe(null);
});

test("an answer that is read from the store has the times that its end had", () => {
  const { message, writer } = grown(true, THOUGHT);
  writer.take({ type: "end", data: END });
  const kept: Message = {
    ...{ id: "c-a", conversation_id: "c", parent_id: "c-q", role: "assistant" },
    ...{ blocks: [], model: "m", error: null },
    ...{ status: END.status, finish_reason: END.finish_reason, usage: null, timing: TIMING },
    ...{ created_at: "2026-11-23T03:00:00.000Z", ended_at: "2026-11-23T03:00:09.000Z" },
  };

  const { timing, reasoning } = stored(kept);

  expect({ timing, reasoning }).toEqual({ timing: message.timing, reasoning: message.reasoning });
});
