/** Markdown as models write it: CommonMark, tables, bare addresses, and formulas in four notations. */

import { tex } from "@mdit/plugin-tex";
import MarkdownIt, { type Token } from "markdown-it";

const markdown = new MarkdownIt("default", { html: false, linkify: true }).use(tex, {
  delimiters: "all", // $…$, $$…$$, \(…\) and \[…\]
  render: () => "", // never called: tokens are drawn by ./render, not made into HTML
});
// "Vue.js" and "main.py" are no addresses; only what says https:// is.
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false });

/** Link reference definitions met so far. */
export interface Environment {
  references?: Record<string, unknown>;
}

/** One block at the top level: a paragraph, a list with all its items, a table. */
export interface Block {
  /** Its place among the blocks, which it keeps while the text grows. */
  readonly key: number;
  readonly tokens: readonly Token[];
}

/** The blocks of `text`, the first of them numbered `key`. */
export function parse(text: string, environment: Environment, key = 0): Block[] {
  const blocks: Block[] = [];
  let from = 0;
  const tokens = markdown.parse(text, environment);
  tokens.forEach((token, index) => {
    if (token.level === 0 && token.nesting <= 0) {
      blocks.push({ key: key + blocks.length, tokens: tokens.slice(from, index + 1) });
      from = index + 1;
    }
  });
  return blocks;
}
