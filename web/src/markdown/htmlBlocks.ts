/**
 * The HTML blocks that models write within Markdown: comments, which are hidden, and `<details>`,
 * which has Markdown in it. All other HTML remains the text that it is.
 *
 * Both end with their end tag, or without one where the text, the list item or the quote ends: a text
 * that is still growing may bring the tag, so what follows cannot be another block.
 */

import type MarkdownIt from "markdown-it";
import type { StateBlock } from "markdown-it";
import { openTag } from "./htmlTags";

const OPEN = openTag("details");
/** The title; one without an end ends with its paragraph. */
const SUMMARY = /^\s*<summary[^<>]*>([^]*?)(?:<\/summary\s*>|\n[ \t]*(?=\n)|$)/i;
const FENCE = /^[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}|~{3,})([^\n]*)$/;

/** Adds comments and `<details>` to `markdown`. */
export function htmlBlocks(markdown: MarkdownIt): void {
  const alt = ["paragraph", "reference", "blockquote", "list"];
  markdown.block.ruler.before("html_block", "html_comment", comment, { alt });
  markdown.block.ruler.before("html_block", "html_details", details, { alt });
}

/** The text of a line without its indentation. */
function lineAt(state: StateBlock, line: number): string {
  return state.src.slice(state.bMarks[line]! + state.tShift[line]!, state.eMarks[line]);
}

/** Whether a line no longer belongs to the list item or quote that is being parsed. */
function isOutside(state: StateBlock, line: number): boolean {
  return state.sCount[line]! < state.blkIndent && !state.isEmpty(line);
}

function isIndentedCode(state: StateBlock, line: number): boolean {
  return state.sCount[line]! - state.blkIndent >= 4;
}

function comment(state: StateBlock, start: number, end: number, silent: boolean): boolean {
  if (isIndentedCode(state, start)) return false;
  const first = lineAt(state, start);
  if (!first.startsWith("<!--")) return false;
  let line = start;
  // `<!-->` is a comment, too.
  let found = first.indexOf("-->", 2);
  while (found === -1 && ++line < end && !isOutside(state, line))
    found = lineAt(state, line).indexOf("-->");
  const after = found === -1 ? "" : lineAt(state, line).slice(found + 3);
  if (line === start && after.trim()) return false; // a paragraph with a comment in it
  if (silent) return true;
  state.line = found === -1 ? line : line + 1;
  const group = state.push("html_group_open", "", 1);
  group.map = [start, state.line];
  const token = state.push("html_comment", "", 0);
  // Without its end it may be anything: once the text is complete it is shown.
  if (found === -1) token.content = state.getLines(start, line, state.blkIndent, false).trimEnd();
  tokenize(state, after, state.line - 1);
  state.push("html_group_close", "", -1);
  return true;
}

function details(state: StateBlock, start: number, end: number, silent: boolean): boolean {
  if (isIndentedCode(state, start)) return false;
  const first = lineAt(state, start);
  OPEN.lastIndex = 0;
  const tag = OPEN.exec(first);
  if (!tag) return false;
  if (silent) return true;
  const { line, column } = findEnd(state, start, end, tag[0].length);
  const last = line < end ? lineAt(state, line) : "";
  const endTag = column === -1 ? "" : (/^<[^>]*>/.exec(last.slice(column))?.[0] ?? "");
  const content =
    line === start
      ? first.slice(tag[0].length, column)
      : [
          first.slice(tag[0].length),
          ...state.getLines(start + 1, line, state.blkIndent, false).split("\n"),
          ...(endTag ? [last.slice(0, column)] : []),
        ].join("\n");
  state.line = endTag ? line + 1 : line;

  const group = state.push("html_group_open", "", 1);
  group.map = [start, state.line];
  const token = state.push("details_open", "details", 1);
  token.meta = { isOpen: /\sopen\b/i.test(tag[1] ?? "") };
  const summary = SUMMARY.exec(content);
  if (summary?.[1]?.trim()) {
    state.push("summary_open", "summary", 1);
    const inline = state.push("inline", "", 0);
    inline.content = summary[1].trim();
    inline.children = [];
    state.push("summary_close", "summary", -1);
  }
  const title = summary?.[0] ?? "";
  tokenize(state, content.slice(title.length), start + title.split("\n").length - 1);
  state.push("details_close", "details", -1);
  if (endTag) tokenize(state, last.slice(column + endTag.length), line);
  state.push("html_group_close", "", -1);
  return true;
}

/**
 * Where the `<details>` of the line `start` ends, which others may be within: the line and the offset
 * in it, which is -1 if it ends before that line and without a tag.
 */
function findEnd(
  state: StateBlock,
  start: number,
  end: number,
  offset: number,
): { line: number; column: number } {
  const tags = new OpenTags(1);
  let line = start;
  for (; line < end && (line === start || !isOutside(state, line)); line++) {
    const column = tags.read(lineAt(state, line), line === start ? offset : 0);
    if (column >= 0) return { line, column };
  }
  return { line, column: -1 };
}

/** Counts the `<details>` that are open after some lines, and sees whether code is. Tags in code are none. */
export class OpenTags {
  #fence = "";

  /** There are `depth` to begin with. */
  constructor(private depth: number) {}

  /** Reads a line from `offset` on. Returns where all have ended, or -1 if they have not. */
  read(text: string, offset = 0): number {
    const mark = offset ? null : FENCE.exec(text);
    if (this.#fence) {
      if (mark?.[1]?.startsWith(this.#fence) && !mark[2]?.trim()) this.#fence = "";
      return -1;
    }
    if (mark?.[1] && !(mark[1].startsWith("`") && mark[2]?.includes("`"))) {
      this.#fence = mark[1];
      return -1;
    }
    const pieces = /`+|<(\/?)details(?:\s[^<>]*)?>/gi;
    pieces.lastIndex = offset;
    for (let piece = pieces.exec(text); piece; piece = pieces.exec(text)) {
      if (piece[0].startsWith("`")) pieces.lastIndex = endOfCode(text, piece[0], pieces.lastIndex);
      else if ((this.depth += piece[1] ? -1 : 1) === 0) return piece.index;
    }
    return -1;
  }

  /** Whether so many are open, and no code. */
  areOpen(depth: number): boolean {
    return this.depth === depth && !this.#fence;
  }
}

/** Where code ends that `ticks` before the offset `from` begin: there if nothing ends it. */
function endOfCode(text: string, ticks: string, from: number): number {
  const runs = /`+/g;
  runs.lastIndex = from;
  for (let run = runs.exec(text); run; run = runs.exec(text))
    if (run[0].length === ticks.length) return runs.lastIndex;
  return from;
}

/**
 * Parses `text` as blocks within what is being parsed. It begins within the line number `line`, so what
 * begins in its first line has no line of its own.
 */
function tokenize(state: StateBlock, text: string, line: number): void {
  if (!text.trim()) return;
  const inner = new state.md.block.State(text, state.md, state.env, state.tokens);
  inner.level = state.level;
  const first = state.tokens.length;
  state.md.block.tokenize(inner, 0, inner.lineMax);
  for (const token of state.tokens.slice(first))
    if (token.map) token.map = token.map[0] ? [token.map[0] + line, token.map[1] + line] : null;
}
