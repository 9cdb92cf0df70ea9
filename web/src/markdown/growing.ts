/**
 * Markdown of a text that grows at its end, parsed once instead of once per token.
 *
 * Once another block has begun at the top level, the one before is over: nothing that comes later
 * changes it (but a link whose address is defined below it, which waits for the answer's end). So
 * only the last block is parsed again. Whether another block has begun is read from whole lines
 * only: `#` may still become `#hashtag`, which is none.
 */

import { parse, type Block, type Environment } from "./parser";

/** The blocks of one growing text. */
export class GrowingMarkdown {
  #settled: Block[] = [];
  #settledText = "";
  #wholeLines = 0;
  #environment: Environment = {};

  /**
   * The blocks of `text`. Those that are over are the same objects as last time, so that whoever
   * draws them can tell. A text that is not the last one grown is parsed from its beginning.
   */
  update(text: string): Block[] {
    if (!text.startsWith(this.#settledText)) {
      this.#settled = [];
      this.#settledText = "";
      this.#wholeLines = 0;
      this.#environment = {};
    }
    this.#settle(text);
    const rest = text.slice(this.#settledText.length);
    // What an unfinished line defines is not kept: it may be half an address.
    return [...this.#settled, ...parse(rest, copy(this.#environment), this.#settled.length)];
  }

  /**
   * The blocks of `text`, to which nothing will be added. What was drawn stays as it is, unless a
   * definition somewhere in the text may have made a link of words before it.
   */
  whole(text: string): Block[] {
    const settled = this.#settledText && !this.#environment.references;
    return settled ? this.update(text) : parse(text, {});
  }

  #settle(text: string): void {
    const wholeLines = text.lastIndexOf("\n") + 1;
    if (wholeLines === this.#wholeLines) return;
    this.#wholeLines = wholeLines;
    const start = this.#settledText.length;
    const environment = copy(this.#environment);
    const blocks = parse(text.slice(start, wholeLines), environment, this.#settled.length);
    const last = blocks.pop();
    const line = last?.tokens[0]?.map?.[0];
    if (!blocks.length || line === undefined) return;
    this.#environment = environment;
    this.#settled.push(...blocks);
    this.#settledText = text.slice(0, offsetOf(line, text, start));
  }
}

function copy(environment: Environment): Environment {
  return environment.references ? { references: { ...environment.references } } : {};
}

/** Where line number `line` begins, counted from `start`. */
function offsetOf(line: number, text: string, start: number): number {
  let offset = start;
  for (let passed = 0; passed < line; passed++) offset = text.indexOf("\n", offset) + 1;
  return offset;
}
