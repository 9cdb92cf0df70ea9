/**
 * TeX in Markdown as models write it: `$…$`, `\(…\)` and `$…$` with backticks within a line; `$$…$$`,
 * `\[…\]` and LaTeX's environments on lines of their own or within a paragraph.
 *
 * A dollar is more often a price than TeX, so what stands between two of them has to look like it.
 * A formula on lines of its own lasts until its end, also over empty lines, as a code block does.
 * Whether it is given up depends on the first line that decides it and on nothing after that, since
 * later text must not change what was parsed before.
 */

import type MarkdownIt from "markdown-it";
import type { StateBlock, StateInline } from "markdown-it";

/** Longer ones are not drawn: Temml takes 150 ms for this many on a slow phone. */
export const MAX_FORMULA_CHARS = 5000;

/** What the token of a formula knows about it; the token's content is its TeX. */
export interface Formula {
  /** Whether it is set on lines of its own. */
  readonly display: boolean;
  /** The formula as it was written. */
  readonly source: string;
  /** Whether its end is there; it may still come. */
  readonly isComplete: boolean;
}

/** LaTeX's environments of equations; others make sense within a formula only, or not at all. */
const ENVIRONMENT =
  /\\begin\{((?:equation|align|alignat|gather|multline|eqnarray)\*?|aligned|alignedat|gathered|split|(?:[pbBvV]|small)?matrix|d?cases|array)\}/y;

/** What ends a sentence after a formula on lines of its own is set with it, and not below it. */
const PUNCTUATION = /[.,;:。，；：、]?/y;

/** A heading or a code block after an empty line: what came before was no formula. */
const OTHER_BLOCK = /^(?:#{1,6}\s|```|~~~)/;

/** How a formula ends that began somewhere. */
interface Opening {
  /** How many characters open it. */
  readonly length: number;
  /** Where its end is in `text`, at or after `from`; -1 if it is not. */
  end(text: string, from: number): number;
  /** What ends it. */
  readonly mark: string;
  /** Whether opening and end are part of its TeX. */
  readonly isPartOfTex: boolean;
}

/** Adds formulas to `markdown`: tokens `math_inline` and `math_block`, whose `meta` is a {@link Formula}. */
export function mathSyntax(markdown: MarkdownIt): void {
  markdown.block.ruler.after("blockquote", "math_block", mathBlock, {
    alt: ["paragraph", "reference", "blockquote", "list"],
  });
  markdown.inline.ruler.before("escape", "math_backslash", backslash);
  markdown.inline.ruler.after("escape", "math_dollar", dollar);
  // GitHub's notation: a code block in the language `math`.
  markdown.core.ruler.after("block", "math_fence", ({ tokens }) => {
    for (const token of tokens) {
      if (token.type !== "fence" || token.info.trim() !== "math") continue;
      const tex = token.content.trim();
      token.type = "math_block";
      token.content = tex;
      token.meta = { display: true, source: `$$${tex}$$`, isComplete: false } satisfies Formula;
    }
  });
}

/** The offset of `mark` in `text`, from `from` on, where no backslash takes its meaning; or -1. */
function unescaped(mark: string, text: string, from: number): number {
  let at = text.indexOf(mark, from);
  while (at >= 0) {
    let before = at;
    while (before > from && text[before - 1] === "\\") before--;
    if ((at - before) % 2 === 0) return at;
    at = text.indexOf(mark, at + 1);
  }
  return -1;
}

function delimiters(open: string, end: string): Opening {
  return {
    length: open.length,
    mark: end,
    end: (text, from) => unescaped(end, text, from),
    isPartOfTex: false,
  };
}

const DOLLARS = delimiters("$$", "$$");
const BRACKETS = delimiters("\\[", "\\]");
const PARENTHESES = delimiters("\\(", "\\)");

/** The environment `name`, in which there may be others of the same name. */
function environment(name: string): Opening {
  const begin = `\\begin{${name}}`;
  const end = `\\end{${name}}`;
  return {
    length: begin.length,
    mark: end,
    isPartOfTex: true,
    end(text, from) {
      let inner = text.indexOf(begin, from);
      let at = text.indexOf(end, from);
      while (at >= 0 && inner >= 0 && inner < at) {
        inner = text.indexOf(begin, inner + begin.length);
        at = text.indexOf(end, at + end.length);
      }
      return at;
    },
  };
}

/** What opens a formula on lines of its own at the offset `at`, if anything does. */
function openingAt(text: string, at: number): Opening | undefined {
  if (text.startsWith("$$", at)) return text[at + 2] === "$" ? undefined : DOLLARS;
  if (text.startsWith("\\[", at)) return BRACKETS;
  ENVIRONMENT.lastIndex = at;
  const name = ENVIRONMENT.exec(text)?.[1];
  return name === undefined ? undefined : environment(name);
}

/** Where a formula whose end is at `end` is over, with the punctuation that belongs to it. */
function afterEnd(text: string, end: number, opening: Opening): number {
  PUNCTUATION.lastIndex = end + opening.mark.length;
  PUNCTUATION.test(text);
  return PUNCTUATION.lastIndex;
}

/** The TeX of a formula in `text` from `from` to `next`, whose end is at `end`. */
function texOf(text: string, opening: Opening, from: number, end: number, next: number): string {
  if (opening.isPartOfTex) return text.slice(from, next);
  return (
    text.slice(from + opening.length, end).trim() + text.slice(end + opening.mark.length, next)
  );
}

function lineAt(state: StateBlock, line: number): string {
  return state.src.slice((state.bMarks[line] ?? 0) + (state.tShift[line] ?? 0), state.eMarks[line]);
}

function indentOf(state: StateBlock, line: number): number {
  return (state.sCount[line] ?? 0) - state.blkIndent;
}

function mathBlock(
  state: StateBlock,
  startLine: number,
  endLine: number,
  silent: boolean,
): boolean {
  if (indentOf(state, startLine) >= 4) return false; // an indented code block
  const first = lineAt(state, startLine);
  const opening = openingAt(first, 0);
  if (!opening) return false;
  if (silent) {
    // Whatever it becomes, it begins anew: a paragraph before it does not depend on what follows.
    const end = opening.end(first, opening.length);
    return end < 0 || isLastOnLine(first, end, opening);
  }
  const found = blockFrom(state, startLine, endLine, opening);
  if (!found) return false;
  state.line = found.nextLine;
  const token = state.push("math_block", "math", 0);
  const { text, end } = found;
  const next = end < 0 ? text.length : afterEnd(text, end, opening);
  const source = text.slice(0, next);
  token.content = texOf(text, opening, 0, end < 0 ? next : end, next);
  token.block = true;
  token.map = [startLine, state.line];
  token.meta = { display: true, source, isComplete: end >= 0 } satisfies Formula;
  return true;
}

/** Whether nothing follows a formula; otherwise it is part of a paragraph. */
function isLastOnLine(text: string, end: number, opening: Opening): boolean {
  return !text.slice(afterEnd(text, end, opening)).trim();
}

/** The lines of the formula that begins at `startLine`; nothing if it turns out to be none. */
function blockFrom(
  state: StateBlock,
  startLine: number,
  endLine: number,
  opening: Opening,
): { text: string; end: number; nextLine: number } | undefined {
  let text = lineAt(state, startLine);
  const hasOwnLine = opening.isPartOfTex || !text.slice(opening.length).trim();
  let wasEmpty = false;
  let mayEnd = text.includes(opening.mark, opening.length);
  for (let line = startLine + 1; ; line++) {
    // Only the line that was added can end it; the others are not searched again and again.
    const end = mayEnd ? opening.end(text, opening.length) : -1;
    if (end >= 0)
      return isLastOnLine(text, end, opening) ? { text, end, nextLine: line } : undefined;
    if (text.length > MAX_FORMULA_CHARS) return undefined;
    const isEmpty = line < endLine && state.isEmpty(line);
    // Also the end of the quote or the list item that it is in.
    if (line >= endLine || (!isEmpty && indentOf(state, line) < 0))
      return { text: text.trimEnd(), end, nextLine: line };
    const next = lineAt(state, line);
    if (isEmpty && !hasOwnLine) return undefined;
    if (wasEmpty && OTHER_BLOCK.test(next)) return undefined;
    if (opening === BRACKETS && next.startsWith("\\[")) return undefined;
    wasEmpty = isEmpty;
    mayEnd = next.includes(opening.mark);
    text += `\n${next}`;
  }
}

/** Adds the formula from `state.pos` to its end at `end`. */
function addInline(
  state: StateInline,
  silent: boolean,
  opening: Opening,
  end: number,
  display: boolean,
): true {
  const { src, pos } = state;
  const next = display ? afterEnd(src, end, opening) : end + opening.mark.length;
  if (!silent) {
    const token = state.push("math_inline", "math", 0);
    token.content = texOf(src, opening, pos, end, next);
    token.meta = { display, source: src.slice(pos, next), isComplete: true } satisfies Formula;
  }
  state.pos = next;
  return true;
}

/** What ended nothing from some offset of a text on ends nothing after it, so it is not looked for again. */
const unended = new WeakMap<StateInline, Set<string>>();

function endOf(state: StateInline, opening: Opening, name: string): number {
  const known = unended.get(state);
  if (known?.has(name)) return -1;
  const end = opening.end(state.src, state.pos + opening.length);
  if (end < 0) unended.set(state, (known ?? new Set()).add(name));
  return end;
}

/** `\(…\)`, `\[…\]` and environments. */
function backslash(state: StateInline, silent: boolean): boolean {
  const { src, pos } = state;
  if (src[pos] !== "\\") return false;
  if (src[pos + 1] === "(") {
    const end = endOf(state, PARENTHESES, "(");
    if (end < 0 || !src.slice(pos + 2, end).trim()) return false;
    return addInline(state, silent, PARENTHESES, end, false);
  }
  if (src[pos + 1] !== "[" && src[pos + 1] !== "b") return false;
  const opening = openingAt(src, pos);
  if (!opening) return false;
  const end = endOf(state, opening, src.slice(pos, pos + opening.length));
  if (end < 0) return false;
  // `\[1\]` and `\[sic\](a)` are brackets that Markdown must not take for a link.
  if (
    opening === BRACKETS &&
    !(/^\s/.test(src.slice(pos + 2, end)) || looksLikeTex(src, pos + 2, end))
  )
    return false;
  return addInline(state, silent, opening, end, true);
}

function looksLikeTex(text: string, from: number, end: number): boolean {
  return /[\\^_=+<>{}|]/.test(text.slice(from, end));
}

const DOLLAR = delimiters("$", "$");
const DOLLAR_AND_BACKTICK = delimiters("$`", "`$");

/** `$…$`, `$$…$$` and GitHub's form with backticks. */
function dollar(state: StateInline, silent: boolean): boolean {
  const { src, pos } = state;
  if (src[pos] !== "$") return false;
  if (src[pos + 1] === "$") {
    const end = endOf(state, DOLLARS, "$$");
    if (end > 0 && src.slice(pos + 2, end).trim())
      return addInline(state, silent, DOLLARS, end, true);
    return addText(state, silent, "$$");
  }
  if (src[pos + 1] === "`") {
    const end = endOf(state, DOLLAR_AND_BACKTICK, "$`");
    if (end > pos + 2) return addInline(state, silent, DOLLAR_AND_BACKTICK, end, false);
    return addText(state, silent, "$");
  }
  const end = endOf(state, DOLLAR, "$");
  const isTooLong = end - pos > MAX_FORMULA_CHARS;
  if (end < 0 || isTooLong || !isBetweenDollars(src, pos, end)) return addText(state, silent, "$");
  return addInline(state, silent, DOLLAR, end, false);
}

function addText(state: StateInline, silent: boolean, text: string): true {
  if (!silent) state.pending += text;
  state.pos += text.length;
  return true;
}

/** Words beside each other, or Chinese characters, where nothing else is TeX: a sentence about prices. */
const PROSE = /[A-Za-z]{2}\s+[A-Za-z]{2}|[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u;

/** Whether the dollars at `from` and `end` are a formula's, and not those of prices or variables. */
function isBetweenDollars(text: string, from: number, end: number): boolean {
  const before = text[from - 1] ?? "";
  const tex = text.slice(from + 1, end);
  const after = text[end + 1] ?? "";
  if (/^\s|\s$/.test(tex) || tex.includes("`")) return false;
  if (/[A-Za-z]/.test(before)) return false; // US$5
  // 10$-20$ and $5, $10 are prices; 3$\times$4 is not.
  if (/\d/.test(before + after) && !tex.startsWith("\\")) return false;
  if (/[A-Za-z]/.test(after) && /[^\w)}\]'|]$/.test(tex)) return false; // $HOME/$USER
  return looksLikeTex(tex, 0, tex.length) || !PROSE.test(tex);
}
