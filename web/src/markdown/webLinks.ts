/**
 * Bare addresses in a text become links.
 *
 * In Chinese and Japanese no space follows an address: `见 https://example.com，然后` and
 * `打开https://example.com查看`. So an address ends before full-width punctuation, and its host before
 * letters of those scripts. A path may contain them: `https://zh.wikipedia.org/wiki/瑞利散射`.
 */

import MarkdownIt from "markdown-it";

/** CJK punctuation and full-width forms but for letters and digits, and quotes, `…` and `—`. */
const PUNCTUATION =
  "[\\u3000-\\u3004\\u3008-\\u3020\\u3030\\uff01-\\uff0f\\uff1a-\\uff20\\uff3b-\\uff40\\uff5b-\\uff65“”‘’…—]";

const LETTER = "[\\p{sc=Han}\\p{sc=Hiragana}\\p{sc=Katakana}\\p{sc=Hangul}]";

/** What no address goes on after; of `**地址**后` the asterisks end an emphasis. */
const END = new RegExp(`${PUNCTUATION}|\\s|[*_~]+${LETTER}`, "u");

/** A host that letters follow which are not part of it: not in `中文.com`, nor in `a.bc中文.com`. */
const HOST = new RegExp(
  "//(?:(?:[a-z0-9-]+\\.)+[a-z]{2,}|(?:\\d{1,3}\\.){3}\\d{1,3}|localhost)(?::\\d{1,5})?" +
    `(?=${LETTER})(?!${LETTER}[^\\s/?#.]{0,63}\\.[a-z0-9])`,
  "iuy",
);

/**
 * Characters of an address: browsers and servers take some thousands. What is longer stays text. Each
 * address is looked for as far as this only, or a text of nothing but their beginnings would take minutes.
 */
const MAX_LENGTH = 8192;

/** Lets `markdown` make links of addresses that begin with https:// or http://. */
export function webLinks(markdown: MarkdownIt): void {
  const { linkify } = markdown;
  const library = new MarkdownIt().linkify;
  // "Vue.js" and "main.py" are no links.
  linkify.set({ fuzzyLink: false, fuzzyEmail: false });
  for (const schema of ["ftp:", "//"]) linkify.add(schema, null);
  for (const schema of ["http:", "https:"])
    linkify.add(schema, {
      validate: (text: string, at: number) =>
        library.testSchemaAt(text.slice(at, endOf(text, at)), schema, 0),
    });
}

/** Where the address ends at the latest whose `//` is at the offset `at`; there if it is too long. */
function endOf(text: string, at: number): number {
  HOST.lastIndex = at;
  if (HOST.test(text)) return HOST.lastIndex;
  const length = text.slice(at, at + MAX_LENGTH + 1).search(END);
  if (length >= 0) return at + length;
  return text.length - at > MAX_LENGTH ? at : text.length;
}
