/**
 * The segments of a question: what its writer meant as text, and what as code.
 *
 * A question is no Markdown: asterisks and leading numbers remain as they were typed. But code is
 * pasted into it, between fences or just so.
 */

/** A segment of a question. */
export interface QuestionSegment {
  readonly kind: "text" | "code";
  readonly text: string;
  /** What the opening fence says; empty for other code. */
  readonly language: string;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*$/;

/** A line that is deeper than others in most languages of programs, data and stack traces. */
const INDENTED = /^(?: {2,}|\t)\s*(?![-*+•·]\s|\d+[.)、]|[a-z][.)]\s)\S/;

/** The end of a statement or of the head of a block. */
const CODE_END = /(?:[;{}]|\)\s*:|=>|\)\s*\{.*)\s*$/;

/** The segments of `text` in their order. */
export function questionSegments(text: string): readonly QuestionSegment[] {
  const parts: QuestionSegment[] = [];
  let lines: string[] = [];
  let fence: { mark: string; language: string } | undefined;
  const endLines = () => {
    if (fence) parts.push({ kind: "code", text: lines.join("\n"), language: fence.language });
    else parts.push(...unfenced(lines.join("\n")));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const found = FENCE.exec(line);
    if (fence ? isEnd(line, fence.mark) : found) {
      endLines();
      fence = fence ? undefined : { mark: found?.[1] ?? "", language: found?.[2] ?? "" };
    } else {
      lines.push(line);
    }
  }
  endLines();
  return parts;
}

function isEnd(line: string, mark: string): boolean {
  const text = line.trim();
  return text.startsWith(mark) && !text.replaceAll(mark.charAt(0), "");
}

/** The parts of a text without fences: its paragraphs, joined to others of their kind. */
function unfenced(text: string): QuestionSegment[] {
  const parts: QuestionSegment[] = [];
  // The blank lines between paragraphs are parts of the split, too.
  for (const piece of text.split(/(\n(?:[ \t]*\n)+)/)) {
    const last = parts.at(-1);
    if (last && !piece.trim()) {
      parts[parts.length - 1] = { ...last, text: last.text + piece };
      continue;
    }
    const kind = isCode(piece) ? "code" : "text";
    if (last?.kind === kind) parts[parts.length - 1] = { ...last, text: last.text + piece };
    else parts.push({ kind, text: piece, language: "" });
  }
  return parts
    .map((part) => ({ ...part, text: part.text.replace(/^(?:[ \t]*\n)+/, "").trimEnd() }))
    .filter(({ text }) => text);
}

/** Whether a paragraph looks like code: several lines, some deeper than others or most of them statements. */
function isCode(paragraph: string): boolean {
  const lines = paragraph.split("\n").filter((line) => line.trim());
  if (lines.length < 2) return false;
  const statements = lines.filter((line) => CODE_END.test(line)).length;
  return lines.some((line) => INDENTED.test(line)) || statements * 2 > lines.length;
}

/** `text` split at what is between backticks: pieces with an odd index are code. */
export function codeSpans(text: string): readonly string[] {
  return text.split(/(?<!`)`([^`\n]+)`(?!`)/);
}
