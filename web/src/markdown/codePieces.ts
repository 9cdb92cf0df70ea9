/**
 * Splits long code into pieces of whole lines, so that of code that grows only its last piece is
 * coloured and laid out again.
 *
 * Each piece is coloured by itself, from the state in which a file begins. So they are cut between two
 * definitions if possible, where no string or comment is open.
 */

/**
 * Code up to this length is one piece, and its colours are exact. Longer code has pieces between half
 * of it and all of it: they are coloured in 20 ms on a slow phone, and drawn in one frame.
 */
export const PIECE_CHARS = 8_000;

/** The pieces of one code, which may be growing. */
export class CodePieces {
  #finished: string[] = [];
  #finishedText = "";

  /** The pieces of `code`. All but the last are the same as long as it only grows. */
  update(code: string): string[] {
    if (!code.startsWith(this.#finishedText)) {
      this.#finished = [];
      this.#finishedText = "";
    }
    let rest = code.slice(this.#finishedText.length);
    for (let end = cut(rest); end > 0 && end < rest.length; end = cut(rest)) {
      this.#finished.push(rest.slice(0, end));
      rest = rest.slice(end);
    }
    this.#finishedText = code.slice(0, code.length - rest.length);
    return [...this.#finished, rest];
  }
}

/** Where the first piece of `code` ends, or 0 if that is not known yet. More code does not move it. */
function cut(code: string): number {
  if (code.length <= PIECE_CHARS) return 0;
  const window = code.slice(0, PIECE_CHARS);
  let at = window.lastIndexOf("\n\n");
  // After an empty line, one that is not indented begins a definition.
  while (at > PIECE_CHARS / 2 && /[\s)}\]]/.test(window[at + 2] ?? " "))
    at = window.lastIndexOf("\n\n", at - 1);
  if (at > PIECE_CHARS / 2) return at + 2;
  return window.lastIndexOf("\n") + 1 || code.indexOf("\n", PIECE_CHARS) + 1;
}
