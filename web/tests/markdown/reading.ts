/** What tests read of parsed Markdown. */

import { parse } from "../../src/markdown/parser";

type Token = ReturnType<typeof parse>[number]["tokens"][number];

/** The tokens of `text` in their order, those within a paragraph among them. */
export function tokensOf(text: string): readonly Token[] {
  return parse(text, {}).flatMap(({ tokens }) =>
    tokens.flatMap((token) => [token, ...(token.children ?? [])]),
  );
}

/** `text` with each emphasis, link and piece of code in brackets: `[strong …]`. */
export function outline(text: string): string {
  return tokensOf(text)
    .map(({ type, tag, nesting, content }) => {
      if (type === "text") return content;
      if (type === "softbreak") return "\n";
      if (type === "code_inline") return `[code ${content}]`;
      if (!["strong", "em", "s", "a"].includes(tag)) return "";
      return nesting === 1 ? `[${tag} ` : "]";
    })
    .join("");
}
