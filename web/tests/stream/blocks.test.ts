import { expect, test } from "vitest";
import { applyEvent, type Block, type Delta } from "../../src/stream";

function blocksOf(...deltas: Delta[]): Block[] {
  const blocks: Block[] = [];
  deltas.forEach((data) => applyEvent(blocks, { type: "delta", data }));
  return blocks;
}

test("a delta is appended to the last block if that is of its kind", () => {
  expect(
    blocksOf(
      { reasoning: "h" },
      { reasoning: "m" },
      { text: "a" },
      { text: "b" },
      { reasoning: "c" },
    ),
  ).toEqual([
    { type: "reasoning", text: "hm" },
    { type: "text", text: "ab" },
    { type: "reasoning", text: "c" },
  ]);
});

test("an id starts a tool call, and deltas without one continue it", () => {
  expect(
    blocksOf(
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

test("provider data closes its block, and a block of another kind arrives whole", () => {
  const data = { dialect: "d", model: "m", value: "signature" };

  expect(
    blocksOf(
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

test("what a later server sends is ignored", () => {
  expect(blocksOf({ text: "a" }, { hologram: 1 } as unknown as Delta, { text: "b" })).toEqual([
    { type: "text", text: "ab" },
  ]);
});

test("reset replaces all blocks, and deltas continue after them", () => {
  const blocks = blocksOf({ text: "abc" });

  applyEvent(blocks, { type: "reset", data: { blocks: [{ type: "text", text: "ab" }] } });
  applyEvent(blocks, { type: "delta", data: { text: "x" } });

  expect(blocks).toEqual([{ type: "text", text: "abx" }]);
});

test("start and end do not change the blocks", () => {
  const blocks = blocksOf({ text: "a" });

  applyEvent(blocks, {
    type: "start",
    data: { conversation_id: "c", question_id: "q", answer_id: "a", model: "m" },
  });
  applyEvent(blocks, {
    type: "end",
    data: { status: "complete", finish_reason: "stop", usage: null, timing: null },
  });

  expect(blocks).toEqual([{ type: "text", text: "a" }]);
});
