/**
 * Footnotes: `[^1]` in the text, and `[^1]: …` for the note.
 *
 * The parser does not ask whether a note exists, because in a growing text it comes last: a finished
 * paragraph is not parsed again. Whoever draws the text numbers the notes by {@link numberNotes}, and
 * what refers to none remains the text that it is, such as `[^a-z]`.
 */

import type MarkdownIt from "markdown-it";
import type { StateBlock, Token } from "markdown-it";
import { isFinished, tokensIn } from "./finishedTokens";
import type { MarkdownBlock } from "./parser";

/** What the token of a reference or a note has as its `meta`; each has one of its own. */
export interface Footnote {
  readonly label: string;
  readonly isNote: boolean;
}

/** The numbers of notes, and of the references to them. */
export type FootnoteNumbers = ReadonlyMap<Footnote, number>;

/** A label; longer than any that somebody means as one would only be searched for in vain. */
const LABEL = "\\[\\^([^\\s\\[\\]]{1,100})\\]";
const REFERENCE = new RegExp(LABEL, "y");
const NOTE = new RegExp(`^${LABEL}:[ \\t]*`);

/** The indentation that further paragraphs of a note have. */
const INDENTATION = 4;

/** Adds footnotes to `markdown`. */
export function footnotes(markdown: MarkdownIt): void {
  markdown.inline.ruler.before("link", "footnote", (state, silent) => {
    // The rule for links asks silently what is in their texts, and takes this for a link in a link.
    if (silent || !state.src.startsWith("[^", state.pos)) return false;
    REFERENCE.lastIndex = state.pos;
    const match = REFERENCE.exec(state.src);
    if (!match || REFERENCE.lastIndex > state.posMax) return false;
    state.pos += match[0].length;
    const token = state.push("footnote_reference", "", 0);
    token.content = match[0];
    token.meta = footnote(match[1], false);
    return true;
  });
  markdown.block.ruler.before("reference", "footnote", note, { alt: ["paragraph", "reference"] });
}

function footnote(label = "", isNote: boolean): Footnote {
  return { label: label.toLowerCase(), isNote };
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
  token.meta = footnote(match[1], true);
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
export function numberOf(block: MarkdownBlock, numbers: FootnoteNumbers): number {
  return numbers.get(block.tokens[0]?.meta as Footnote) ?? 0;
}

/** The references and notes among tokens, which do not change. */
const footnotesKnown = new WeakMap<readonly Token[], readonly Footnote[]>();

function footnotesIn(tokens: readonly Token[]): readonly Footnote[] {
  const known = footnotesKnown.get(tokens);
  if (known) return known;
  const found = tokens.flatMap((token) => {
    if (isFinished(token)) return footnotesIn(tokensIn(token));
    return [token, ...(token.children ?? [])]
      .filter(({ type }) => type === "footnote_open" || type === "footnote_reference")
      .map(({ meta }) => meta as Footnote);
  });
  footnotesKnown.set(tokens, found);
  return found;
}

/**
 * Numbers all notes, as they are referred to and then those that are not, and what refers to them.
 *
 * Where a label has several notes, as in an answer of parts that number theirs anew, a reference means
 * the next of them, or the last if none comes any more.
 */
export function numberNotes(blocks: readonly MarkdownBlock[]): FootnoteNumbers {
  const found = blocks.flatMap(({ tokens }) => footnotesIn(tokens));
  const notes = found.filter(({ isNote }) => isNote);
  const numbers = new Map<Footnote, number>();
  if (!notes.length) return numbers;
  const meant = new Map<Footnote, Footnote>();
  for (const inOrder of [found, found.toReversed()]) {
    const byLabels = new Map<string, Footnote>();
    for (const each of inOrder) {
      if (each.isNote) byLabels.set(each.label, each);
      const note = byLabels.get(each.label);
      if (note) meant.set(each, note);
    }
  }
  const references = found.filter((each) => !each.isNote && meant.has(each));
  const ordered = new Set([...references.map((each) => meant.get(each)!), ...notes]);
  for (const note of ordered) numbers.set(note, numbers.size + 1);
  for (const each of references) numbers.set(each, numbers.get(meant.get(each)!)!);
  return numbers;
}
