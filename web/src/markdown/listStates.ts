/**
 * Notes what a list's tokens do not tell, but what parsing has to know that goes on within the list: how
 * far the content of each item is indented, and whether the list is tight.
 *
 * Only the parser knows whether a list is tight, and it tells so by hiding the list's paragraphs. A list
 * may have none. So each item is given one to begin with, which is taken away again once it has told.
 */

import type MarkdownIt from "markdown-it";
import type { Token } from "markdown-it";

/** What an item knows: the column of its content, in the quote that it is in. */
export interface ItemState {
  readonly indent: number;
}

/** What a list knows. */
export interface ListState {
  /** Undefined as long as nothing is in it. */
  readonly isTight: boolean | undefined;
}

const TOLD = Symbol("the paragraph that tells whether its list is tight");

/** Adds the `meta` of lists and items to `markdown`: their {@link ListState} and {@link ItemState}. */
export function listStates(markdown: MarkdownIt): void {
  markdown.block.ruler.before("table", "item_state", (state) => {
    const item = state.tokens.at(-1);
    if (item?.type !== "list_item_open") return false;
    item.meta = { indent: state.blkIndent } satisfies ItemState;
    state.push("paragraph_open", "p", 1).meta = TOLD;
    state.push("paragraph_content", "", 0);
    state.push("paragraph_close", "p", -1);
    return false;
  });
  markdown.core.ruler.after("block", "list_states", (state) => {
    const lists: Token[] = [];
    const kept: Token[] = [];
    for (let index = 0; index < state.tokens.length; index++) {
      const token = state.tokens[index]!;
      if (token.meta === TOLD) {
        lists.at(-1)!.meta = { isTight: token.hidden } satisfies ListState;
        index += 2;
        continue;
      }
      if (isList(token)) lists.push(token);
      else if (/^(bullet|ordered)_list_close$/.test(token.type)) lists.pop();
      kept.push(token);
    }
    state.tokens = kept;
  });
}

/** Whether a list begins with `token`. */
export function isList({ type }: Token): boolean {
  return type === "bullet_list_open" || type === "ordered_list_open";
}
