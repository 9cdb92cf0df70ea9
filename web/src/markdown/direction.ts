/**
 * The direction of texts: Arabic, Hebrew and others are read from right to left.
 *
 * Paragraphs have `dir="auto"`, with which a browser takes the direction of the first letter. For
 * what contains paragraphs it does not look into those, so the page does.
 */

import type { Token } from "markdown-it";
import { isFinished, tokensIn } from "./finishedTokens";

const LETTER = /\p{L}/u;
const RIGHT_TO_LEFT =
  /[\p{sc=Arab}\p{sc=Hebr}\p{sc=Syrc}\p{sc=Thaa}\p{sc=Nkoo}\p{sc=Adlm}\p{sc=Samr}\p{sc=Mand}\p{sc=Rohg}]/u;

/** The direction of `text` by its first letter; undefined without one. */
export function directionOf(text: string): "ltr" | "rtl" | undefined {
  const letter = LETTER.exec(text)?.[0];
  if (letter === undefined) return undefined;
  return RIGHT_TO_LEFT.test(letter) ? "rtl" : "ltr";
}

/** What is known of finished parts; undefined if they have no text. */
const known = new WeakMap<Token, "ltr" | "rtl" | undefined>();

function directionIn(token: Token): "ltr" | "rtl" | undefined {
  if (!known.has(token)) known.set(token, directionFrom(tokensIn(token), -1));
  return known.get(token);
}

/** The direction of what begins before the token number `start`, by the first text in it. */
export function directionFrom(tokens: readonly Token[], start: number): "ltr" | "rtl" | undefined {
  const level = tokens[start]?.level ?? -1;
  for (let index = start + 1; index < tokens.length; index++) {
    const token = tokens[index];
    if (!token || (token.level === level && token.nesting === -1)) return undefined;
    const direction = isFinished(token) && directionIn(token);
    if (direction) return direction;
    for (const { type, content } of token.children ?? []) {
      const direction = type === "text" ? directionOf(content) : undefined;
      if (direction) return direction;
    }
  }
  return undefined;
}

/** `text` so that it keeps its own order within a sentence of another direction. */
export function isolated(text: string): string {
  return RIGHT_TO_LEFT.test(text) ? `\u2068${text}\u2069` : text;
}
