import { expect, test } from "vitest";
import { take, type Block, type Delta } from "../../src/stream";

function grown(...deltas: Delta[]): Block[] {
  const blocks: Block[] = [];
  deltas.forEach((data) => take(blocks, { type: "delta", data }));
  return blocks;
}

test("a delta belongs to the last block if that is of its kind", () => {
  expect(
    grown({ reasoning: "h" }, { reasoning: "m" }, { text: "a" }, { text: "b" }, { reasoning: "c" }),
  ).toEqual([
    { type: "reasoning", text: "hm" },
    { type: "text", text: "ab" },
    { type: "reasoning", text: "c" },
  ]);
});

test("an id opens a tool call, and what follows without one goes on with it", () => {
  expect(
    grown(
      { tool_call: { index: 0, id: "x", name: "weather", arguments: "" } },
      { tool_call: { index: 0, arguments: '{"city":' } },
      { tool_call: { index: 0, arguments: '"北京"}' } },
      { tool_call: { index: 1, id: "y", name: "time", arguments: "{}" } },
    ),
  ).toEqual([
    { type: "tool_call", id: "x", name: "weather", arguments: '{"city":"北京"}' },
    { type: "tool_call", id: "y", name: "time", arguments: "{}" },
  ]);
});

test("a provider's data closes its block, and a block of another kind comes whole", () => {
  const data = { dialect: "d", model: "m", value: "signature" };

  expect(
    grown(
      { reasoning: "h" },
      { reasoning: "m", data },
      { reasoning: "so" },
      { block: { type: "image" } },
      { text: "a" },
    ),
  ).toEqual([
    { type: "reasoning", text: "hm", data },
    { type: "reasoning", text: "so" },
    { type: "image" },
    { type: "text", text: "a" },
  ]);
});

test("what a later version sends is passed over", () => {
  expect(grown({ text: "a" }, { hologram: 1 } as unknown as Delta, { text: "b" })).toEqual([
    { type: "text", text: "ab" },
  ]);
});

test("reset replaces all blocks, and growth goes on behind them", () => {
  const blocks = grown({ text: "abc" });

  take(blocks, { type: "reset", data: { blocks: [{ type: "text", text: "ab" }] } });
  take(blocks, { type: "delta", data: { text: "x" } });

  expect(blocks).toEqual([{ type: "text", text: "abx" }]);
});

test("start and end leave the blocks alone", () => {
  const blocks = grown({ text: "a" });

  take(blocks, {
    type: "start",
    data: { conversation_id: "c", question_id: "q", answer_id: "a", model: "m" },
  });
  take(blocks, {
    type: "end",
    data: { status: "complete", finish_reason: "stop", usage: null, timing: null },
  });

  expect(blocks).toEqual([{ type: "text", text: "a" }]);
});
