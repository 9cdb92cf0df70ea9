/** How events make a message: the same few rules for a live answer and one that is read again. */

import type { AnswerEvent, Block, Delta } from "./types";

/**
 * Take an event into `blocks`, which the caller keeps for one answer and starts empty.
 *
 * Blocks are changed in place, and only the last one is ever touched, so that a page can tell what
 * has to be drawn anew by looking at the end.
 */
export function take(blocks: Block[], event: AnswerEvent): void {
  if (event.type === "delta") {
    grow(blocks, event.data);
  } else if (event.type === "reset") {
    blocks.splice(0, blocks.length, ...event.data.blocks);
  }
}

/**
 * A delta belongs to the last block if that is of its kind and not closed by its provider's data,
 * and opens a new one if not. What a later version may send is passed over.
 */
function grow(blocks: Block[], delta: Delta): void {
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
    // An id comes with an opening and with nothing else, so the index need not be remembered.
    if (id === undefined && open?.type === "tool_call") open.arguments += more;
    else blocks.push({ type: "tool_call", id: id ?? "", name: name ?? "", arguments: more });
  } else if ("block" in delta) {
    blocks.push(delta.block);
  }
  const grown = blocks.at(-1);
  if (grown && "data" in delta && delta.data !== undefined) grown.data = delta.data;
}
