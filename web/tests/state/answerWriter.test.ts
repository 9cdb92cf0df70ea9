import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Message } from "../../src/api";
import { AnswerWriter } from "../../src/state/answerWriter";
import { fromStored, newAnswer } from "../../src/state/displayedMessage";
import type { Delta, End, Timing } from "../../src/stream";

const TIMING: Timing = { first_token_ms: 400, reasoning_ms: 1800, total_ms: 2900 };
const END: End = { status: "complete", finish_reason: "stop", usage: null, timing: TIMING };

// Frames never come, so nothing is drawn before `end`; no test here looks at the text.
beforeEach(() => void vi.stubGlobal("requestAnimationFrame", () => 1));
beforeEach(() => void vi.stubGlobal("cancelAnimationFrame", () => undefined));
afterEach(() => void vi.unstubAllGlobals());
afterEach(() => void vi.restoreAllMocks());

/** An answer with these deltas, each of them at a time in milliseconds of the tab's own clock. */
function written(measuresReasoning: boolean, deltas: [number, Delta][]) {
  const message = newAnswer("m");
  const writer = new AnswerWriter(message, measuresReasoning);
  for (const [time, data] of deltas) {
    vi.spyOn(performance, "now").mockReturnValue(time);
    writer.write({ type: "delta", data });
  }
  return { message, writer };
}

const DELTAS: [number, Delta][] = [
  [5000, { reasoning: "h" }],
  [6000, { reasoning: "m" }],
  [9000, { text: "a" }],
  [9900, { text: "b" }],
];

test("a live answer's reasoning is measured, if it is read from its beginning", () => {
  expect(written(true, DELTAS).message.reasoningMs).toBe(4000);
  expect(written(true, DELTAS.slice(0, 2)).message.reasoningMs).toBe(null);
  expect(written(false, DELTAS).message.reasoningMs).toBe(null);
  expect(written(true, DELTAS).message.timing).toBe(null);
});

test.each([true, false])("`end` brings the server's times, measured here: %s", (measures) => {
  const { message, writer } = written(measures, DELTAS);

  writer.write({ type: "end", data: END });

  expect(message.timing).toEqual(TIMING);
  expect(message.reasoningMs).toBe(TIMING.reasoning_ms);
});

test("an `end` without times removes what was measured here", () => {
  const { message, writer } = written(true, DELTAS);

  writer.write({ type: "end", data: { ...END, status: "interrupted", timing: null } });

  expect(message.timing).toBe(null);
  expect(message.reasoningMs).toBe(null);
});

test("an answer that is loaded has the times that its `end` had", () => {
  const { message, writer } = written(true, DELTAS);
  writer.write({ type: "end", data: END });
  const loaded: Message = {
    ...{ id: "c-a", conversation_id: "c", parent_id: "c-q", role: "assistant" },
    ...{ blocks: [], model: "m", error: null },
    ...{ status: END.status, finish_reason: END.finish_reason, usage: null, timing: TIMING },
    ...{ created_at: "2026-11-23T03:00:00.000Z", ended_at: "2026-11-23T03:00:09.000Z" },
  };

  const { timing, reasoningMs } = fromStored(loaded);

  expect({ timing, reasoningMs }).toEqual({
    timing: message.timing,
    reasoningMs: message.reasoningMs,
  });
});
