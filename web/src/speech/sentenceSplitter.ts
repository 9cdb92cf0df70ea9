/** Splits a growing answer into what a screen reader speaks: sentences, formulas in words, and code by name only. */

/** A run of backticks or tildes that opens a code block, also in a list's item. */
const FENCE = /[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(`{3,}(?=[^`\n]*(?:\n|$))|~{3,})/y;
/** One that may close it. With a language after it, it is a line of the code, as in code in Markdown. */
const FENCE_END = /^[ \t>]*([`~])\1+\s*$/;
const TABLE_ROW = /[ \t]*\|/y;
/** The number of a list's item, whose full stop ends no sentence. */
const ITEM_NUMBER = /[ \t>]*\d+[.)][ \t]+/y;
const LINE = /[^\n]*\n/y;

/** The end of a sentence. What follows must have arrived, since it may be another mark. */
const SENTENCE_END = /[.!?…]+["'”’)*_]*(?=\s)|[。！？]+[”’」』）*_]*(?=[^。！？”’」』）*_])/y;
/**
 * Whatever else is taken whole: an escaped character, a word, marks that end no sentence, of which a model
 * that is broken writes thousands, or a single character.
 */
const PIECE = /\\[^\n]|[^\s\\$`.!?…。！？\n]+|[.!?…]+|[。！？]+|[^]/y;

const CODE_SPAN = /(`+)(?!`)([^\n]*?[^`\n])\1(?!`)(?=[^])/y;
const DISPLAY_FORMULA = /\$\$([^]+?)\$\$|\\\[([^]+?)\\\]/y;
/** As the page's Markdown has it: `$5 and $6` is no formula, because a digit follows. */
const INLINE_FORMULA = /\\\(([^\n]+?)\\\)|\$(?![\s$])((?:\\[^\n]|[^$\\\n])*?[^\s\\$])\$(?=[^\d])/y;

/** A sentence of which more is spoken before its end: nobody waits longer, nor speaks it at one breath. */
const MAX_SENTENCE_CHARS = 600;
/** Longer formulas are shown as their source, and an unclosed one must not silence the answer. */
const MAX_FORMULA_CHARS = 5000;

/** Stand for formulas and code in a sentence while its marks are removed: characters of private use. */
const PLACEHOLDER = /\uE000(\d+)\uE001/g;

/** Splits a text that grows at its end, and returns each sentence once. */
export class SentenceSplitter {
  #offset = 0;
  /** The fence that closes the code block at the offset. */
  #fence: string | null = null;

  /** `codeText` is spoken in place of a code block, and what `formulaText` makes of its TeX for a formula. */
  constructor(
    private readonly codeText: string,
    private readonly formulaText: (tex: string) => string = (tex) => tex,
  ) {}

  /** The sentences of `text` that were not returned before; also an unfinished one if `isOver`. */
  next(text: string, isOver: boolean): string[] {
    const sentences: string[] = [];
    const whole = isOver && !text.endsWith("\n") ? `${text}\n` : text;
    for (;;) {
      const spoken = this.#sentence(whole, isOver);
      if (spoken === null) return sentences;
      if (/[\p{L}\p{N}]/u.test(spoken)) sentences.push(spoken);
    }
  }

  /** What is spoken of the piece at the offset, which is moved behind it; null if it is incomplete. */
  #sentence(text: string, isOver: boolean): string | null {
    const start = this.#offset;
    if (start >= text.length) return null;
    const isLineStart = start === 0 || text[start - 1] === "\n";
    if (isLineStart || this.#fence !== null) {
      if (this.#fence !== null || matchAt(FENCE, text, start)) return this.#codeLine(text);
      if (matchAt(TABLE_ROW, text, start)) return this.#tableRow(text);
    }
    let at = start + ((isLineStart && matchAt(ITEM_NUMBER, text, start)?.[0].length) || 0);
    const literals: string[] = [];
    let sentence = text.slice(start, at);
    while (at < text.length) {
      const literal = this.#literalAt(text, at, isOver);
      if (literal === "incomplete") return null;
      if (literal) {
        sentence += `\uE000${literals.push(literal.spoken) - 1}\uE001`;
        at += literal.length;
        continue;
      }
      const end = matchAt(SENTENCE_END, text, at);
      const piece = (end ?? matchAt(PIECE, text, at))?.[0] ?? "";
      at += piece.length;
      sentence += piece;
      const isLong = at - start > MAX_SENTENCE_CHARS && /^[\s，；、]$/.test(piece);
      if (!end && piece !== "\n" && !isLong) continue;
      this.#offset = at;
      return withoutMarks(sentence)
        .replace(PLACEHOLDER, (_, index) => literals[index] ?? "")
        .replace(/\s+/g, " ")
        .replace(/ (?=[,.;:!?，。；：！？])/g, "")
        .trim();
    }
    return null;
  }

  /** The code or the formula that begins at a place, if there is one. */
  #literalAt(
    text: string,
    at: number,
    isOver: boolean,
  ): { length: number; spoken: string } | "incomplete" | undefined {
    const first = text[at];
    if (first !== "`" && first !== "$" && first !== "\\") return;
    if (first === "\\" && at + 1 < text.length && !"([".includes(text[at + 1] ?? "")) return;
    const isDisplay = text.startsWith("$$", at) || text.startsWith("\\[", at);
    const match = matchAt(
      first === "`" ? CODE_SPAN : isDisplay ? DISPLAY_FORMULA : INLINE_FORMULA,
      text,
      at,
    );
    if (match) {
      const content = (first === "`" ? match[2] : (match[1] ?? match[2])) ?? "";
      const spoken = first === "`" ? content.trim() : ` ${this.formulaText(content)} `;
      return { length: match[0].length, spoken };
    }
    // Display formulas may have several lines; the others end with theirs.
    const mayGrow = isDisplay
      ? text.length - at <= MAX_FORMULA_CHARS
      : !text.slice(at).includes("\n");
    return mayGrow && !isOver ? "incomplete" : undefined;
  }

  #codeLine(text: string): string | null {
    const fence = matchAt(FENCE, text, this.#offset)?.[1];
    const line = matchAt(LINE, text, this.#offset)?.[0];
    if (line === undefined) return null;
    this.#offset += line.length;
    if (this.#fence === null) {
      this.#fence = fence ?? null;
      return this.codeText;
    }
    if (fence?.startsWith(this.#fence) && FENCE_END.test(line)) this.#fence = null;
    return "";
  }

  #tableRow(text: string): string | null {
    const line = matchAt(LINE, text, this.#offset)?.[0];
    if (line === undefined) return null;
    this.#offset += line.length;
    const cells = line
      .trim()
      .replace(/^\||\|$/g, "")
      .split("|")
      .map((cell) =>
        new SentenceSplitter(this.codeText, this.formulaText).next(cell.trim(), true).join(" "),
      );
    return cells.filter(Boolean).join(", ");
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/**
 * A sentence without Markdown's marks, which are of no use to a listener. Each mark ends the search
 * for the end of the one before, since a model that is broken writes thousands.
 */
function withoutMarks(sentence: string): string {
  if (/^[\s*_=-]+$/.test(sentence)) return ""; // a line across
  return sentence
    .replace(/^[\s>#]*(?:[-*+]\s+(?:\[[ xX]\]\s+)?)?/, "")
    .replace(/\[\^[^[\]]*\]:?/g, "") // footnotes
    .replace(/!?\[([^[\]]*)\]\([^[)]*\)/g, "$1")
    .replace(/<!--(?:(?!<!--).)*?-->|<\/?[a-z][\w-]*(?:\s[^<>]*)?>/gi, " ")
    .replace(/\*+(?=\S)|(?<=\S)\*+|~~|(?<![\p{L}\p{N}])_+|_+(?![\p{L}\p{N}])/gu, "")
    .replace(/\\([!-/:-@[-`{-~])/g, "$1");
}
