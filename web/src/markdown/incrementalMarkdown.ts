/**
 * Parses the Markdown of a growing text without parsing all of it again for each token.
 *
 * Once another block has started at the top level, the block before it is finished: later text does
 * not change it, except for a link whose address is defined further down, which is resolved when the
 * text is complete. So only the last block is parsed again. Only complete lines can start a block: a
 * `#` may still become `#hashtag`, which is no heading.
 */

import { parse, type Environment, type MarkdownBlock } from "./parser";

/** The blocks of one growing text. */
export class IncrementalMarkdown {
  #finished: MarkdownBlock[] = [];
  #finishedText = "";
  /** Characters of the complete lines that were parsed last. */
  #completeLength = 0;
  #environment: Environment = {};
  /** Whether there is a link definition so far, the last block and what follows it included. */
  #hasDefinition = false;

  /**
   * The blocks of `text` so far. Finished blocks are the same objects as last time, so that they need
   * not be drawn again. A text that does not continue the last one is parsed from its beginning.
   */
  update(text: string): MarkdownBlock[] {
    if (!text.startsWith(this.#finishedText)) {
      this.#finished = [];
      this.#finishedText = "";
      this.#completeLength = 0;
      this.#environment = {};
    }
    this.#finishBlocks(text);
    const rest = text.slice(this.#finishedText.length);
    // A copy, because a definition in an incomplete line may have half of its address.
    const environment = copy(this.#environment);
    const blocks = [...this.#finished, ...parse(rest, environment, this.#finished.length)];
    this.#hasDefinition = environment.references !== undefined;
    return blocks;
  }

  /**
   * The blocks of `text`, which is complete. All of it is parsed again only if it contains a link
   * definition, which may have turned earlier text into a link.
   */
  finish(text: string): MarkdownBlock[] {
    if (!this.#finishedText) return parse(text, {});
    const blocks = this.update(text);
    return this.#hasDefinition ? parse(text, {}) : blocks;
  }

  #finishBlocks(text: string): void {
    const completeLength = text.lastIndexOf("\n") + 1;
    if (completeLength === this.#completeLength) return;
    this.#completeLength = completeLength;
    const start = this.#finishedText.length;
    const environment = copy(this.#environment);
    const blocks = parse(text.slice(start, completeLength), environment, this.#finished.length);
    const last = blocks.pop();
    const line = last?.tokens[0]?.map?.[0];
    if (!blocks.length || line === undefined) return;
    this.#environment = environment;
    this.#finished.push(...blocks);
    this.#finishedText = text.slice(0, offsetOf(line, text, start));
  }
}

function copy(environment: Environment): Environment {
  return environment.references ? { references: { ...environment.references } } : {};
}

/**
 * The offset at which line number `line` begins, counting lines from the offset `start`. As for the
 * parser, a carriage return alone ends a line, too: models quote what programs print.
 */
function offsetOf(line: number, text: string, start: number): number {
  const lineEnd = /\r\n?|\n/g;
  lineEnd.lastIndex = start;
  for (let count = 0; count < line; count++) lineEnd.exec(text);
  return line ? lineEnd.lastIndex : start;
}
