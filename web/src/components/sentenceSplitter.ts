/** Splits a growing answer into what a screen reader speaks: sentences, and code by name only. */

/** A sentence or a line that is complete, because something follows its end. */
const SENTENCE = /[^\n]*?(?:[.!?…]+["'”’)]*(?=\s)|[。！？]+[”’」』）]*|\n)/y;
const FENCE = /^\s*(?:```|~~~)/;

/** Markdown's marks, which are of no use to a listener. */
const MARKS = /^[#>\s]*(?:[-*+]\s+|\d+\.\s+)?|[*_`|]+|!?\[([^\]]*)\]\([^)]*\)/g;

/** Splits a text that grows at its end, and returns each sentence once. */
export class SentenceSplitter {
  #offset = 0;
  #isInCode = false;

  /** `codeText` is spoken in place of a code block. */
  constructor(private readonly codeText: string) {}

  /** The sentences of `text` that were not returned before; also an unfinished one if `isOver`. */
  next(text: string, isOver: boolean): string[] {
    const sentences: string[] = [];
    const whole = isOver && !text.endsWith("\n") ? `${text}\n` : text;
    SENTENCE.lastIndex = this.#offset;
    for (let match = SENTENCE.exec(whole); match; match = SENTENCE.exec(whole)) {
      this.#offset = SENTENCE.lastIndex;
      const line = match[0];
      if (FENCE.test(line)) {
        if (!this.#isInCode) sentences.push(this.codeText);
        this.#isInCode = !this.#isInCode;
      } else if (!this.#isInCode) {
        const spoken = line.replace(MARKS, "$1").trim();
        if (spoken) sentences.push(spoken);
      }
    }
    return sentences;
  }
}
