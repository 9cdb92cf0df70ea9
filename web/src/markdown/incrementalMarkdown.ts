/**
 * Parses the Markdown of a growing text without parsing all of it again for each token.
 *
 * Once another block has started at the top level, the block before it is finished: later text does
 * not change it, except for a link whose address is defined further down, which is resolved when the
 * text is complete. So only the last block is parsed again, and of a list or another container only its
 * last part. Only complete lines can start a block: a `#` may still become `#hashtag`, which is no
 * heading.
 */

import type { Token } from "markdown-it";
import { unfolded } from "./finishedTokens";
import {
  lineCountOf,
  openContainer,
  withFinishedParts,
  type OpenContainer,
} from "./openContainers";
import { parse, type Environment, type MarkdownBlock } from "./parser";

/** As for the parser, a carriage return alone ends a line, too: models quote what programs print. */
const LINE_END = /\r\n?|\n/g;

/** The blocks of one growing text. */
export class IncrementalMarkdown {
  #finished: MarkdownBlock[] = [];
  /** What need not be parsed again: the finished blocks, and the finished parts of the next one. */
  #finishedText = "";
  /** The block that is finished in part. */
  #open: OpenContainer | undefined;
  /** Characters of the complete lines that were parsed last. */
  #completeLength = 0;
  #environment: Environment = {};
  /** The blocks so far, finished or not. */
  #blocks: MarkdownBlock[] = [];

  /**
   * The blocks of `text` so far. Finished blocks are the same objects as last time, so that they need
   * not be drawn again. A text that does not continue the last one is parsed from its beginning.
   */
  update(text: string): MarkdownBlock[] {
    if (!text.startsWith(this.#finishedText)) {
      this.#finished = [];
      this.#finishedText = "";
      this.#open = undefined;
      this.#completeLength = 0;
      this.#environment = {};
    }
    this.#finishParts(text);
    // A copy, because a definition in an incomplete line may have half of its address.
    this.#blocks = [...this.#finished, ...this.#parseRest(text, copy(this.#environment))];
    return this.#blocks;
  }

  /**
   * The blocks of `text`, which is complete, as it is parsed at once: only now is it known which links
   * are defined further down. Blocks that are the same as last time are the same objects.
   */
  finish(text: string): MarkdownBlock[] {
    return parse(text, {}).map((block, index) => {
      const known = this.#blocks[index];
      return known && areSame(unfolded(known.tokens), block.tokens) ? known : block;
    });
  }

  /** The blocks of `text` that are not finished. */
  #parseRest(text: string, environment: Environment): MarkdownBlock[] {
    const outline = this.#open?.outline ?? "";
    const rest = outline + text.slice(this.#finishedText.length);
    const [block, ...others] = parse(rest, environment, this.#finished.length);
    if (!block) return [];
    if (!this.#open) return [block, ...others];
    return [{ ...block, tokens: withFinishedParts(block.tokens, this.#open) }, ...others];
  }

  #finishParts(text: string): void {
    const completeLength = text.lastIndexOf("\n") + 1;
    if (completeLength === this.#completeLength) return;
    this.#completeLength = completeLength;
    const environment = copy(this.#environment);
    const blocks = this.#parseRest(text.slice(0, completeLength), environment);
    const last = blocks.pop();
    if (!last) return;
    const outline = this.#open?.outline ?? "";
    const lines = (outline + text.slice(this.#finishedText.length)).split(LINE_END);
    const open = openContainer(last.tokens, lines, this.#open);
    const line = open?.line ?? (blocks.length ? last.tokens[0]?.map?.[0] : undefined);
    if (line === undefined) return;
    this.#environment = environment;
    this.#finished.push(...blocks);
    this.#finishedText = text.slice(
      0,
      offsetOf(line - lineCountOf(outline), text, this.#finishedText.length),
    );
    this.#open = open;
  }
}

function copy(environment: Environment): Environment {
  return environment.references ? { references: { ...environment.references } } : {};
}

/** Whether two texts' tokens are drawn as the same. */
function areSame(some: readonly Token[], others: readonly Token[]): boolean {
  return (
    some.length === others.length && some.every((token, index) => isSame(token, others[index]!))
  );
}

function isSame(one: Token, other: Token): boolean {
  return (
    one.type === other.type &&
    one.tag === other.tag &&
    one.hidden === other.hidden &&
    one.content === other.content &&
    one.info === other.info &&
    rarePartsOf(one) === rarePartsOf(other) &&
    areSame(one.children ?? [], other.children ?? [])
  );
}

/** What few tokens have. */
function rarePartsOf({ attrs, meta }: Token): string {
  return (attrs ?? meta) ? JSON.stringify([attrs, meta]) : "";
}

/** The offset at which line number `line` begins, counting lines from the offset `start`. */
function offsetOf(line: number, text: string, start: number): number {
  LINE_END.lastIndex = start;
  for (let count = 0; count < line; count++) LINE_END.exec(text);
  return line ? LINE_END.lastIndex : start;
}
