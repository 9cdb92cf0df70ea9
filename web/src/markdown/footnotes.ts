/**
 * Footnotes: `[^1]` in the text, and `[^1]: …` for the note.
 *
 * The parser does not ask whether a note exists, because in a growing text it comes last: a finished
 * paragraph is not parsed again. Whoever draws the text numbers the notes by {@link numberNotes}, and
 * what refers to none remains the text that it is, such as `[^a-z]`.
 */

import type MarkdownIt from "markdown-it";
import type { StateBlock } from "markdown-it";
import type { MarkdownBlock } from "./parser";

/** What a reference and a note know. */
export interface Footnote {
  readonly label: string;
}

/** A label; longer than any that somebody means as one would only be searched for in vain. */
const LABEL = "\\[\\^([^\\s\\[\\]]{1,100})\\]";
const REFERENCE = new RegExp(LABEL, "y");
const NOTE = new RegExp(`^${LABEL}:[ \\t]*`);

/** The indentation that further paragraphs of a note have. */
const INDENTATION = 4;

/** Adds footnotes to `markdown`. */
export function footnotes(markdown: MarkdownIt): void {
  markdown.inline.ruler.before("link", "footnote", (state, silent) => {
    if (!state.src.startsWith("[^", state.pos)) return false;
    REFERENCE.lastIndex = state.pos;
    const match = REFERENCE.exec(state.src);
    if (!match || REFERENCE.lastIndex > state.posMax) return false;
    state.pos += match[0].length;
    if (silent) return true;
    const token = state.push("footnote_reference", "", 0);
    token.content = match[0];
    token.meta = footnote(match[1]);
    return true;
  });
  markdown.block.ruler.before("reference", "footnote", note, { alt: ["paragraph", "reference"] });
}

function footnote(label = ""): Footnote {
  return { label: label.toLowerCase() };
}

function note(state: StateBlock, start: number, end: number, silent: boolean): boolean {
  if (state.sCount[start]! - state.blkIndent >= INDENTATION) return false;
  const first = state.src.slice(state.bMarks[start]! + state.tShift[start]!, state.eMarks[start]);
  const match = NOTE.exec(first);
  if (!match) return false;
  if (silent) return true;
  const next = endOfNote(state, start, end);
  const token = state.push("footnote_open", "", 1);
  token.map = [start, next];
  token.meta = footnote(match[1]);
  const rest = state.getLines(start + 1, next, state.blkIndent + INDENTATION, false);
  const inner = new state.md.block.State(
    `${first.slice(match[0].length)}\n${rest}`,
    state.md,
    state.env,
    state.tokens,
  );
  inner.level = state.level;
  state.md.block.tokenize(inner, 0, inner.lineMax);
  state.push("footnote_close", "", -1);
  state.line = next;
  return true;
}

/** The line after a note: its first paragraph goes on without indentation, what follows has one. */
function endOfNote(state: StateBlock, start: number, end: number): number {
  const terminators = state.md.block.ruler.getRules("paragraph");
  let last = start;
  for (let line = start + 1; line < end; line++) {
    if (state.isEmpty(line)) continue;
    const isIndented = state.sCount[line]! - state.blkIndent >= INDENTATION;
    const isContinued =
      line === last + 1 && !terminators.some((rule) => rule(state, line, end, true));
    if (!isIndented && !isContinued) break;
    last = line;
  }
  return last + 1;
}

/** Whether a block is a note, and not a part of the text. */
export function isNote({ tokens }: MarkdownBlock): boolean {
  return tokens[0]?.type === "footnote_open";
}

/** The number of the note that a block is. */
export function numberOf(block: MarkdownBlock, numbers: ReadonlyMap<string, number>): number {
  return numbers.get(labelsOf(block).notes[0] ?? "") ?? 0;
}

/** The labels of a block, which does not change. */
const labels = new WeakMap<MarkdownBlock, { references: string[]; notes: string[] }>();

function labelsOf(block: MarkdownBlock): { references: string[]; notes: string[] } {
  const known = labels.get(block);
  if (known) return known;
  const found = { references: [] as string[], notes: [] as string[] };
  for (const token of block.tokens) {
    if (token.type === "footnote_open") found.notes.push((token.meta as Footnote).label);
    for (const { type, meta } of token.children ?? [])
      if (type === "footnote_reference") found.references.push((meta as Footnote).label);
  }
  labels.set(block, found);
  return found;
}

/** The numbers of all notes by their labels: as they are referred to, and then those that are not. */
export function numberNotes(blocks: readonly MarkdownBlock[]): ReadonlyMap<string, number> {
  const found = blocks.map(labelsOf);
  const notes = new Set(found.flatMap((block) => block.notes));
  const numbers = new Map<string, number>();
  if (!notes.size) return numbers;
  for (const label of [...found.flatMap(({ references }) => references), ...notes])
    if (notes.has(label) && !numbers.has(label)) numbers.set(label, numbers.size + 1);
  return numbers;
}
