/**
 * Divides the blocks of a growing text into groups, of which only the last one changes.
 *
 * Of a long text, Vue compares only that group with what is drawn, and the browser lays out and paints
 * only the groups near the screen. Of the others it has to know the height, so it may leave out a group
 * only after it was laid out whole once: not while the text is folded away, and not by what it was in
 * another layout.
 */

import type { MarkdownBlock } from "./parser";

/** Blocks in a group. Half as many make a long answer no faster, and each group has its own cost. */
export const GROUP_SIZE = 16;

export interface BlockGroup {
  readonly blocks: readonly MarkdownBlock[];
  /** Whether it was laid out as it is before. */
  readonly isDrawn: boolean;
}

/** The groups of one growing text. */
export class BlockGroups {
  /** The groups that are followed by another one. */
  #wholeCount = 0;
  /** Those of them that were laid out. */
  #drawnCount = 0;
  #layout = "";

  /** The groups of `blocks`, which are now drawn. In another `layout` than the last they are as new. */
  update(blocks: readonly MarkdownBlock[], layout: string): BlockGroup[] {
    const count = Math.ceil(blocks.length / GROUP_SIZE);
    this.#wholeCount = Math.max(0, count - 1);
    this.#drawnCount = layout === this.#layout ? Math.min(this.#drawnCount, this.#wholeCount) : 0;
    this.#layout = layout;
    return Array.from({ length: count }, (_, index) => ({
      blocks: blocks.slice(index * GROUP_SIZE, (index + 1) * GROUP_SIZE),
      isDrawn: index < this.#drawnCount,
    }));
  }

  /** The browser has laid out what was drawn last. */
  laidOut(): void {
    this.#drawnCount = this.#wholeCount;
  }
}
