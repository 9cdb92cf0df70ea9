/**
 * What is finished of a container that still grows, such as the items of a list before its last one.
 *
 * It is one token in the place of all of theirs, which is the same object each time: what is known of
 * it, such as its nodes, has to be found once.
 */

import type { Token as MarkdownToken } from "markdown-it";
import Token from "markdown-it/lib/token.mjs";

const TYPE = "finished";

/** A token that stands for `tokens`. */
export function finished(tokens: readonly MarkdownToken[]): MarkdownToken {
  const token = new Token(TYPE, "", 0);
  token.level = tokens[0]?.level ?? 0;
  token.meta = tokens;
  return token;
}

export function isFinished(token: MarkdownToken): boolean {
  return token.type === TYPE;
}

/** What a token stands for that {@link isFinished}. */
export function tokensIn(token: MarkdownToken): readonly MarkdownToken[] {
  return token.meta as readonly MarkdownToken[];
}

/** All of `tokens`, with those that others stand for in their places. */
export function unfolded(tokens: readonly MarkdownToken[]): readonly MarkdownToken[] {
  return tokens.flatMap((token) => (isFinished(token) ? unfolded(tokensIn(token)) : [token]));
}

/** `token` with `changes`. */
export function copyOf(token: MarkdownToken, changes: Partial<MarkdownToken>): MarkdownToken {
  return Object.assign(new Token(token.type, token.tag, token.nesting), token, changes);
}

const loosened = new WeakMap<MarkdownToken, MarkdownToken>();

/** `tokens` with the paragraphs at `level` shown: those of a list that has turned out not to be tight. */
export function loosen(tokens: readonly MarkdownToken[], level: number): readonly MarkdownToken[] {
  const loose = tokens.map((token) => {
    const isHidden = token.hidden && token.level === level;
    if (!isHidden && !(isFinished(token) && token.level <= level)) return token;
    const known = loosened.get(token) ?? loosenedToken(token, level);
    loosened.set(token, known).set(known, known);
    return known;
  });
  return loose.some((token, index) => token !== tokens[index]) ? loose : tokens;
}

function loosenedToken(token: MarkdownToken, level: number): MarkdownToken {
  if (!isFinished(token)) return copyOf(token, { hidden: false });
  const loose = loosen(tokensIn(token), level);
  return loose === tokensIn(token) ? token : finished(loose);
}
