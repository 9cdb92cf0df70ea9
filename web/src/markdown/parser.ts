/**
 * The Markdown that models write: CommonMark, tables, task lists, footnotes, bare URLs, some HTML, and TeX.
 *
 * CommonMark takes the markers in `**重点：**这是` for text, because punctuation is on one side of them
 * and no space on the other. `cjkFriendly` takes them as Chinese, Japanese and Korean writers mean them.
 */

import MarkdownIt, { type Token } from "markdown-it";
import cjkFriendly from "markdown-it-cjk-friendly";
import { footnotes } from "./footnotes";
import { growingImage } from "./growingImage";
import { htmlBlocks } from "./htmlBlocks";
import { htmlTags } from "./htmlTags";
import { listStates } from "./listStates";
import { mathSyntax } from "./mathSyntax";
import { taskLists } from "./taskLists";
import { webLinks } from "./webLinks";

const markdown = new MarkdownIt("default", { html: false, linkify: true })
  .use(mathSyntax)
  .use(cjkFriendly)
  .use(webLinks)
  .use(footnotes)
  .use(growingImage)
  .use(htmlTags)
  .use(htmlBlocks)
  .use(listStates)
  .use(taskLists);

/** The link reference definitions so far. */
export interface Environment {
  references?: Record<string, unknown>;
}

/** A block at the top level: a paragraph, a list with all its items, a table. */
export interface MarkdownBlock {
  /** Its index among the blocks, which does not change while the text grows. */
  readonly key: number;
  readonly tokens: readonly Token[];
}

/** The blocks of `text`, the first of them numbered `key`. */
export function parse(text: string, environment: Environment, key = 0): MarkdownBlock[] {
  const blocks: MarkdownBlock[] = [];
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
