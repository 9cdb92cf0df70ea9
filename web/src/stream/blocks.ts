/** Builds an answer's blocks from its events, the same way whether it is live or read again. */

import type { AnswerEvent, Block, Delta } from "./types";

/**
 * Apply an event to `blocks`, an array that the caller keeps for one answer and starts empty.
 *
 * Blocks are changed in place. A delta changes only the last one, so a page need only redraw from
 * there.
 */
export function applyEvent(blocks: Block[], event: AnswerEvent): void {
  if (event.type === "delta") {
    applyDelta(blocks, event.data);
  } else if (event.type === "reset") {
    blocks.splice(0, blocks.length, ...event.data.blocks);
  }
}

/**
 * Append a delta to the last block if that is of its kind and not closed by provider data, or to a
 * new block if not. Kinds that a later server may send are ignored.
 */
function applyDelta(blocks: Block[], delta: Delta): void {
  const last = blocks.at(-1);
  const open = last?.data === undefined ? last : undefined;
  if ("text" in delta) {
    if (open?.type === "text") open.text += delta.text;
    else blocks.push({ type: "text", text: delta.text });
  } else if ("reasoning" in delta) {
    if (open?.type === "reasoning") open.text += delta.reasoning;
    else blocks.push({ type: "reasoning", text: delta.reasoning });
  } else if ("tool_call" in delta) {
    const { id, name, arguments: more } = delta.tool_call;
    // Only the first delta of a tool call has an id, so its index need not be compared.
    if (id === undefined && open?.type === "tool_call") open.arguments += more;
    else blocks.push({ type: "tool_call", id: id ?? "", name: name ?? "", arguments: more });
  } else if ("block" in delta) {
    blocks.push(delta.block);
  }
  const changed = blocks.at(-1);
  if (changed && "data" in delta && delta.data !== undefined) changed.data = delta.data;
}
