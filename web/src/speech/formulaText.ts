/**
 * Formulas in words, for the region that screen readers speak while an answer is generated.
 *
 * Below it, in the answer itself, a formula is MathML, which screen readers explore. Here it has to be
 * one line of text. What has no words is spoken by its name, so that nothing is left out silently.
 */

import { chinese, english, type Vocabulary } from "./vocabulary";

/** Deeper formulas are not spoken further: nobody can follow them, and each level is a call. */
const MAX_DEPTH = 40;

const TOKEN = /\\[a-zA-Z]+\*?|\\[^]|\d+(?:[.,]\d+)*|\s+|[^]/gu;

/** Commands that take one argument, of which there is a phrase. */
const PHRASES: Record<string, keyof Vocabulary["phrases"]> = {
  ...{ "\\hat": "hat", "\\widehat": "hat", "\\bar": "bar", "\\overline": "bar" },
  ...{ "\\vec": "vector", "\\overrightarrow": "vector", "\\dot": "dot", "\\ddot": "doubleDot" },
  ...{ "\\tilde": "tilde", "\\widetilde": "tilde", "\\boxed": "boxed", "\\fbox": "boxed" },
  ...{ "\\cancel": "cancelled", "\\bcancel": "cancelled", "\\xcancel": "cancelled" },
  ...{ "\\sout": "cancelled", "\\not": "not", "\\pmod": "modulo", "\\pod": "modulo" },
};
const FRACTION = /^\\[dtc]?frac$/;
const BINOMIAL = /^\\[dt]?binom$/;
/** Commands whose argument is text, spoken as it is. */
const TEXT =
  /^\\(?:text(?:rm|bf|it|sf|tt|normal)?|mbox|hbox|mathrm|operatorname\*?|ce|pu|mathop|tag\*?)$/;
/** Commands whose argument is not spoken. */
const SKIPPED_ARGUMENT =
  /^\\(?:label|color|textcolor|hspace\*?|vspace\*?|phantom|hphantom|vphantom)$/;
/** Commands that change how a formula looks, and not what it says. */
const SILENT =
  /^\\(?:left|right|middle|[bB]igg?[lrm]?|q?quad|displaystyle|textstyle|scriptstyle|limits|nolimits|math(?:bb|bf|cal|frak|it|sf|scr|tt|bin|rel|ord)|boldsymbol|bm|pmb|nonumber|notag|hline|cr|mathstrut|strut|[,;:!> ])$/;
/** What is followed by the range over which it is taken. */
const BIG =
  /^\\(?:sum|prod|i{1,3}nt|oint|bigcup|bigcap|bigoplus|lim|limsup|liminf|max|min|sup|inf|arg)$/;
const MATRIX = /^(?:[bBpvV]?matrix|smallmatrix|array)\*?$/;

/** Longer formulas are shown as their source; of their words the first are enough. */
const MAX_CHARS = 5000;

/** A TeX formula in words of a language. */
export function formulaText(tex: string, locale: "en" | "zh"): string {
  const reader = new FormulaReader(tex.slice(0, MAX_CHARS), locale === "zh" ? chinese : english);
  return reader
    .all()
    .replace(/\s+/g, " ")
    .replace(/ (?=[,;:，；：])|(?<=[，；：]) /g, "")
    .trim();
}

class FormulaReader {
  readonly #tokens: string[];
  #at = 0;
  #depth = 0;

  constructor(
    tex: string,
    private readonly vocabulary: Vocabulary,
  ) {
    this.#tokens = tex.match(TOKEN) ?? [];
  }

  all(): string {
    const words: string[] = [];
    while (this.#at < this.#tokens.length) words.push(this.#until("}"));
    return words.join(" ");
  }

  /** What is spoken up to a token, which is passed over. */
  #until(end: string): string {
    const words: string[] = [];
    while (this.#at < this.#tokens.length) {
      if (this.#skipSpace() === end) {
        this.#at++;
        break;
      }
      words.push(this.#scripted());
    }
    return words.join(" ").trim();
  }

  /** One thing with what is above and below it. */
  #scripted(): string {
    const command = this.#skipSpace() ?? "";
    const base = this.#single();
    let below: string | undefined;
    let above: string | undefined;
    let primes = "";
    for (let next = this.#skipSpace(); next !== undefined; next = this.#skipSpace()) {
      if (next === "\\limits" || next === "\\nolimits") this.#at++;
      else if (next === "_") below = this.#singleAfter();
      else if (next === "^") above = this.#singleAfter();
      else if (next === "'") {
        this.#at++;
        primes += ` ${this.vocabulary.phrases.prime}`;
      } else break;
    }
    if (BIG.test(command)) return this.#ranged(command, base, below, above);
    const sub = below === undefined ? "" : this.#phrase("subscript", below);
    return [base + primes, sub, above === undefined ? "" : this.#power(above)].join(" ");
  }

  #ranged(command: string, base: string, below?: string, above?: string): string {
    const isLimit = /^\\(?:lim|max|min|sup|inf|arg)/.test(command);
    const isIndexed = below?.includes(this.vocabulary.names["="] ?? "=");
    let range = "";
    if (below !== undefined && above !== undefined) range = this.#phrase("range", below, above);
    else if (below !== undefined)
      range = this.#phrase(isLimit ? "limit" : isIndexed ? "from" : "over", below);
    else if (above !== undefined) range = this.#phrase("to", above);
    return `${base} ${range} ${this.vocabulary.phrases.of}`;
  }

  #power(exponent: string): string {
    const { squared, cubed, prime, degrees } = this.vocabulary.phrases;
    const { "\\circ": circle, "*": star } = this.vocabulary.names;
    if (exponent === "2") return squared;
    if (exponent === "3") return cubed;
    if (exponent === circle) return degrees;
    if (exponent === star) return exponent;
    if (exponent.split(" ").every((word) => word === prime || word === "prime")) return exponent;
    return this.#phrase("power", exponent);
  }

  /** One group, command or sign, behind the sign at which the reader is. */
  #singleAfter(): string {
    this.#at++;
    return this.#single();
  }

  /** One group, command or sign. */
  #single(): string {
    const token = this.#skipSpace();
    if (token === undefined) return "";
    this.#at++;
    if (this.#depth >= MAX_DEPTH) return "";
    this.#depth++;
    const spoken = token === "{" ? this.#until("}") : this.#command(token);
    this.#depth--;
    return spoken.replace(/\s+/g, " ").trim();
  }

  #command(token: string): string {
    const phrase = PHRASES[token];
    if (phrase) return this.#phrase(phrase, this.#single());
    if (FRACTION.test(token)) {
      const [over, under] = [this.#single(), this.#single()];
      const isShort = !over.includes(" ") && !under.includes(" ");
      return this.#phrase(isShort ? "fraction" : "longFraction", over, under);
    }
    if (BINOMIAL.test(token)) return this.#phrase("binomial", this.#single(), this.#single());
    if (token === "\\sqrt") {
      const degree = this.#optional();
      const under = this.#single();
      return degree ? this.#phrase("nthRoot", under, degree) : this.#phrase("root", under);
    }
    if (token === "\\overset" || token === "\\stackrel" || token === "\\underset") {
      const [added, base] = [this.#single(), this.#single()];
      return this.#phrase(token === "\\underset" ? "below" : "above", base, added);
    }
    if (TEXT.test(token)) return this.#raw();
    if (SKIPPED_ARGUMENT.test(token)) return (this.#raw(), "");
    if (token === "\\begin") return this.#environment(this.#raw());
    if (token === "\\end") return (this.#raw(), "");
    if (token === "\\\\") return ";";
    if (SILENT.test(token)) {
      if (this.#tokens[this.#at] === "." && /^\\(?:left|right)$/.test(token)) this.#at++;
      return "";
    }
    return this.vocabulary.names[token] ?? token.replace(/^\\/, "").replace(/[{}~^_$#]/, "");
  }

  /** The rows of a matrix by number; other environments as they are. */
  #environment(name: string): string {
    if (name.startsWith("array")) this.#raw(); // the alignment of its columns
    const from = this.#at;
    let nested = 0;
    for (; this.#at < this.#tokens.length; this.#at++) {
      if (this.#tokens[this.#at] === "\\begin") nested++;
      if (this.#tokens[this.#at] === "\\end" && nested-- === 0) break;
    }
    const inner = this.#tokens.slice(from, this.#at);
    this.#at++;
    this.#raw();
    const hasColumns = MATRIX.test(name) || name.startsWith("cases");
    const rows = splitRows(inner.filter((token) => hasColumns || token !== "&")).map((row) => {
      const reader = new FormulaReader("", this.vocabulary);
      reader.#tokens.push(...row);
      reader.#depth = this.#depth;
      return reader.all();
    });
    if (MATRIX.test(name)) {
      const numbered = rows.map((row, index) => this.#phrase("row", String(index + 1), row));
      return this.#phrase("matrix", numbered.join("; "));
    }
    const lines = rows.join("; ");
    return hasColumns ? this.#phrase("cases", lines) : lines;
  }

  /** The next token that is no space. */
  #skipSpace(): string | undefined {
    while (/^\s/.test(this.#tokens[this.#at] ?? "")) this.#at++;
    return this.#tokens[this.#at];
  }

  #optional(): string {
    if (this.#skipSpace() !== "[") return "";
    this.#at++;
    return this.#until("]");
  }

  /** An argument as it is written. */
  #raw(): string {
    if (this.#skipSpace() !== "{") return this.#tokens[this.#at++] ?? "";
    const from = ++this.#at;
    for (let depth = 1; this.#at < this.#tokens.length; this.#at++) {
      if (this.#tokens[this.#at] === "{") depth++;
      if (this.#tokens[this.#at] === "}" && --depth === 0) break;
    }
    return this.#tokens
      .slice(from, this.#at++)
      .filter((token) => token !== "{" && token !== "}")
      .join("");
  }

  #phrase(name: keyof Vocabulary["phrases"], a: string, b = ""): string {
    return this.vocabulary.phrases[name].replace("{a}", () => a).replace("{b}", () => b);
  }
}

/** The rows of an environment, which `\\` separates. */
function splitRows(tokens: readonly string[]): string[][] {
  const rows: string[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token === "{" || token === "\\begin") depth++;
    if (token === "}" || token === "\\end") depth--;
    if (token === "\\\\" && depth === 0) rows.push([]);
    else rows.at(-1)?.push(token);
  }
  return rows.filter((row) => row.some((token) => token.trim()));
}
