/**
 * Divides the blocks of a growing text into groups, of which only the last one changes.
 *
 * Of a long text, Vue compares only that group with what is drawn, and the browser lays out and paints
 * only the groups near the screen. Of the others it has to know the height, so it may leave out a group
 * only after it was drawn whole once.
 */

import type { MarkdownBlock } from "./parser";

/** Blocks in a group. Half as many make a long answer no faster, and each group has its own cost. */
export const GROUP_SIZE = 16;

export interface BlockGroup {
  readonly blocks: readonly MarkdownBlock[];
  /** Whether it was drawn as it is before. */
  readonly isDrawn: boolean;
}

/** The groups of one growing text. */
export class BlockGroups {
  /** The groups that were followed by another one last time. */
  #wholeCount = 0;

  /** The groups of `blocks`, which are now drawn. */
  update(blocks: readonly MarkdownBlock[]): BlockGroup[] {
    const count = Math.ceil(blocks.length / GROUP_SIZE);
    const groups = Array.from({ length: count }, (_, index) => ({
      blocks: blocks.slice(index * GROUP_SIZE, (index + 1) * GROUP_SIZE),
      isDrawn: index < this.#wholeCount,
    }));
    this.#wholeCount = Math.max(0, count - 1);
    return groups;
  }
}
