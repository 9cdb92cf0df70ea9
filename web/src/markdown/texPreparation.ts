/** What of LaTeX models write that Temml reads in other words, or not at all. */

import { MAX_FORMULA_CHARS } from "./mathSyntax";

/** Commands that Temml does not have. A formula may define its own in addition. */
export const MACROS: Readonly<Record<string, string>> = {
  "\\mbox": "\\text{#1}",
  "\\hdots": "\\dots",
  // In LaTeX it fails for a command that exists, such as \R; models define those all the time.
  "\\newcommand": "\\providecommand",
};

/** A name in a formula, as `\label` and `\ref` take it. */
const LABEL = /\s*\\label\s*\{[^{}]*\}/g;
const REFERENCE = /\\(eq)?ref\s*\{([^{}]*)\}/g;

/** Temml has no `eqnarray`, which is an array of three columns. */
const EQNARRAY = /\\(begin|end)\s*\{eqnarray\*?\}/g;

/**
 * A formula that defines commands may write a few characters for thousands: of this many, half of
 * them in a definition and half of them using it, Temml makes twenty thousand elements at most.
 */
const MAX_DEFINING_CHARS = 600;
const DEFINITION = /\\(?:[gex]?def|(?:re)?newcommand|providecommand|let)(?![a-zA-Z])/;

/** How long `tex` may be to be drawn. */
export function maxChars(tex: string): number {
  return DEFINITION.test(tex) ? MAX_DEFINING_CHARS : MAX_FORMULA_CHARS;
}

/**
 * `tex` as Temml can read it. A label would become an element's id, and a reference a link to it,
 * though ids are the page's own: so labels are left out, and references name what they refer to.
 */
export function prepared(tex: string): string {
  return tex
    .replace(LABEL, "")
    .replace(REFERENCE, (_, equation: string | undefined, name: string) => {
      const text = name.replace(/[#$%&_^~\\]/g, "\\$&");
      return `\\text{${equation ? `(${text})` : text}}`;
    })
    .replace(EQNARRAY, (_, edge: string) =>
      edge === "begin" ? "\\begin{array}{rcl}" : "\\end{array}",
    );
}
