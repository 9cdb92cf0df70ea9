/** A growing answer as a listener wants it: whole sentences, and code by name instead of by letter. */

/** A sentence, or a line, that nothing can be added to: its end, and something behind it. */
const SENTENCE = /[^\n]*?(?:[.!?…]+["'”’)]*(?=\s)|[。！？]+[”’」』）]*|\n)/y;
const FENCE = /^\s*(?:```|~~~)/;

/** Marks that structure a text for the eye. */
const MARKS = /^[#>\s]*(?:[-*+]\s+|\d+\.\s+)?|[*_`|]+|!?\[([^\]]*)\]\([^)]*\)/g;

/** Cuts a text that grows at its end into sentences, each given once. */
export class Sentences {
  #passed = 0;
  #inCode = false;

  /** `code` is said in place of a code block. */
  constructor(private readonly code: string) {}

  /** The sentences that `text` holds beyond those given before; with `over`, what is left too. */
  next(text: string, over: boolean): string[] {
    const found: string[] = [];
    const whole = over && !text.endsWith("\n") ? `${text}\n` : text;
    SENTENCE.lastIndex = this.#passed;
    for (let match = SENTENCE.exec(whole); match; match = SENTENCE.exec(whole)) {
      this.#passed = SENTENCE.lastIndex;
      const line = match[0];
      if (FENCE.test(line)) {
        if (!this.#inCode) found.push(this.code);
        this.#inCode = !this.#inCode;
      } else if (!this.#inCode) {
        const words = line.replace(MARKS, "$1").trim();
        if (words) found.push(words);
      }
    }
    return found;
  }
}
