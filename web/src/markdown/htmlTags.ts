/**
 * The tags that models write within Markdown: `<kbd>`, `<sub>`, `<br>`, and comments, which are hidden.
 *
 * No HTML is made of them. A tag of the list whose end is in the same paragraph becomes a pair of
 * tokens, as the asterisks of an emphasis do; all others remain the text that they are.
 */

import type MarkdownIt from "markdown-it";
import type { StateInline, Token } from "markdown-it";

/** Tags that mark what they surround. The last three have no look without the policy's forbidden styles. */
const PAIRED = new Set(
  (
    "a abbr b cite code del dfn em i ins kbd mark q ruby rp rt s samp small strike strong sub sup tt " +
    "u var center font span"
  ).split(" "),
);

/** What markdown-it counts links with, which its types do not name. */
type LinkState = StateInline & { linkLevel: number };

/** What CommonMark takes for a tag. */
const ATTRIBUTES =
  "((?:\\s+[a-z_:][\\w:.-]*(?:\\s*=\\s*(?:[^\\s\"'=<>`]+|'[^']*'|\"[^\"]*\"))?)*)\\s*";
const TAG = new RegExp(`<(/?)([a-z][a-z0-9]*)${ATTRIBUTES}/?>`, "iy");

/** A tag that begins where the pattern is set to, with its attributes in the first group. */
export const openTag = (name: string) => new RegExp(`<${name}${ATTRIBUTES}>`, "iy");

/** The attributes that are kept of a tag. */
const KEPT: Record<string, string> = { a: "href", abbr: "title" };

/** The value of the attribute `name`, or nothing. */
function attribute(state: StateInline, name: string, attributes = ""): string {
  const found = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)'|([^\\s"'>]+))`, "i").exec(
    attributes,
  );
  return state.md.utils.unescapeAll(found?.[1] ?? found?.[2] ?? found?.[3] ?? "");
}

/** Adds tags within paragraphs, and comments, to `markdown`. */
export function htmlTags(markdown: MarkdownIt): void {
  markdown.inline.ruler.after("autolink", "html_comment", comment);
  markdown.inline.ruler.after("html_comment", "html_tag", tag);
  markdown.core.ruler.after("linkify", "html_pairs", ({ tokens }) => {
    for (const { type, children } of tokens) if (type === "inline") pair(children ?? []);
  });
}

/** Where the last comment of a text ends, so that a text full of `<!--` is searched once. */
const lastEnds = new WeakMap<StateInline, number>();

function comment(state: StateInline, silent: boolean): boolean {
  const { src, pos } = state;
  if (!src.startsWith("<!--", pos)) return false;
  let lastEnd = lastEnds.get(state);
  if (lastEnd === undefined) lastEnds.set(state, (lastEnd = src.lastIndexOf("-->")));
  // `<!-->` is a comment, too.
  const end = lastEnd < pos ? -1 : src.indexOf("-->", pos + 2);
  if (end === -1 || end + 3 > state.posMax) return false;
  state.pos = end + 3;
  if (!silent) state.push("html_comment", "", 0);
  return true;
}

function tag(state: StateInline, silent: boolean): boolean {
  TAG.lastIndex = state.pos;
  const match = state.src[state.pos] === "<" ? TAG.exec(state.src) : null;
  if (!match || TAG.lastIndex > state.posMax) return false;
  const [raw, slash, written, attributes] = match;
  const name = written?.toLowerCase() ?? "";
  const isBreak = name === "br" || name === "wbr";
  const source = name === "img" && !slash ? attribute(state, "src", attributes) : "";
  // Another image could not be shown, so its tag says more than its absence.
  const isImage = /^(https:|data:image\/)/i.test(source) && state.md.validateLink(source);
  if (!isBreak && !isImage && !PAIRED.has(name)) return false;
  state.pos += raw.length;
  if (silent) return true;
  if (isImage) {
    const image = state.push("image", "img", 0);
    image.attrs = [["src", state.md.normalizeLink(source)]];
    image.content = attribute(state, "alt", attributes);
  } else if (isBreak) {
    state.push(name === "br" ? "hardbreak" : "html_break", name, 0);
  } else {
    // Named as in markdown-it, whose linkifier makes no links within `<a>`.
    const token = state.push("html_inline", name, 0);
    token.content = raw;
    token.info = slash ? "close" : "open";
    const kept = KEPT[name];
    if (kept && !slash) token.attrs = [[kept, attribute(state, kept, attributes)]];
    if (name === "a") (state as LinkState).linkLevel += slash ? -1 : 1;
  }
  return true;
}

/**
 * Makes pairs of the tags among `tokens` that surround something. A pair is within one emphasis or
 * link, or outside of all: an end is not matched with a tag beyond the boundaries of those.
 */
function pair(tokens: Token[]): void {
  const open: { token: Token; depth: number }[] = [];
  let depth = 0;
  for (const token of tokens) {
    depth += token.nesting;
    while ((open.at(-1)?.depth ?? 0) > depth) open.pop();
    if (token.type !== "html_inline") continue;
    if (token.info === "open") {
      open.push({ token, depth });
      continue;
    }
    const at = open.findLastIndex(
      (other) => other.depth === depth && other.token.tag === token.tag,
    );
    const start = open[at]?.token;
    if (!start) continue;
    open.length = at;
    Object.assign(start, { type: "html_open", nesting: 1 });
    Object.assign(token, { type: "html_close", nesting: -1 });
  }
  for (const token of tokens) if (token.type === "html_inline") token.type = "text";
}
