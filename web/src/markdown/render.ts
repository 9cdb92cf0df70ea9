/**
 * Renders parsed Markdown as Vue nodes.
 *
 * No HTML is made of strings: what a model writes can become text, one of the elements listed here
 * or one of the page's components, with attributes that are set here. So nothing has to be
 * sanitised. Vue updates existing nodes in place, so that a selection survives the next token.
 */

import type { Token } from "markdown-it";
import { h, isVNode, withMemo, type VNode, type VNodeArrayChildren } from "vue";
import CodeBlock from "./CodeBlock.vue";
import DataImage from "./DataImage.vue";
import { directionFrom } from "./direction";
import ExternalImage from "./ExternalImage.vue";
import { isFinished, tokensIn } from "./finishedTokens";
import FootnoteReference from "./FootnoteReference.vue";
import type { Footnote } from "./footnotes";
import FootnoteText from "./FootnoteText.vue";
import MathFormula from "./MathFormula.vue";
import type { Formula } from "./mathSyntax";
import ScrollingTable from "./ScrollingTable.vue";
import TaskMark from "./TaskMark.vue";
import type { Task } from "./taskLists";

/** The element for each of Markdown's tags. Headings are below the page's own h1 and h2. */
const ELEMENTS: Record<string, string> = {
  ...{ p: "p", blockquote: "blockquote", ul: "ul", ol: "ol", li: "li", hr: "hr" },
  ...{ em: "em", strong: "strong", s: "s", details: "details", summary: "summary" },
  ...{ thead: "thead", tbody: "tbody", tr: "tr", th: "th", td: "td" },
  ...{ h1: "h3", h2: "h4", h3: "h5", h4: "h6", h5: "h6", h6: "h6" },
  // Of the tags in ./htmlTags; those that are not here have no meaning without a style.
  ...{ b: "strong", i: "em", del: "del", strike: "s", ins: "ins", u: "u", mark: "mark", q: "q" },
  ...{ sub: "sub", sup: "sup", small: "small", ruby: "ruby", rt: "rt", rp: "rp" },
  ...{ code: "code", tt: "code", kbd: "kbd", samp: "samp", var: "var" },
  ...{ abbr: "abbr", cite: "cite", dfn: "dfn" },
};

type Direction = "auto" | "ltr" | "rtl" | undefined;

/** What contains paragraphs, and has the direction of the first of them. */
const CONTAINERS = new Set(["ul", "ol", "blockquote", "table", "details"]);

/** What has a direction of its own; an item has that of its list, on whose side its marker is. */
const HAS_DIRECTION = new Set([...CONTAINERS, ..."p h3 h4 h5 h6 th td summary".split(" ")]);

/** The nodes of finished parts, which Vue passes over since they are the same objects each time. */
export type DrawnParts = WeakMap<Token, VNodeArrayChildren>;

function drawn(part: Token, parts: DrawnParts): VNodeArrayChildren {
  let nodes = parts.get(part);
  if (!nodes) {
    const memo: VNode[] = [];
    nodes = render(tokensIn(part), false, parts).map((node, index) =>
      isVNode(node) ? withMemo([], () => node, memo, index) : node,
    );
    parts.set(part, nodes);
  }
  return nodes;
}

/**
 * The nodes of `tokens`. `growing` if their text may still grow, as in an incomplete code block. What is
 * drawn in another place needs other `parts`: a node is in one place.
 */
export function render(
  tokens: readonly Token[],
  growing: boolean,
  parts: DrawnParts = new WeakMap(),
): VNodeArrayChildren {
  const root: VNodeArrayChildren = [];
  const open: { token: Token; children: VNodeArrayChildren; dir: Direction }[] = [];
  /** The references within a link, whose numbers follow it. */
  let linked: Token[] = [];
  for (const [index, token] of tokens.entries()) {
    const children = open.at(-1)?.children ?? root;
    if (token.nesting === 1) {
      const isContainer = CONTAINERS.has(token.tag);
      open.push({ token, children: [], dir: isContainer ? directionFrom(tokens, index) : "auto" });
    } else if (token.nesting === -1) {
      const closed = open.pop();
      if (closed) {
        const parts = closed.token.tag === "p" ? pieces(closed.children, growing) : closed.children;
        const outer = open.at(-1)?.children ?? root;
        outer.push(...element(closed.token, parts, closed.dir));
        if (linked.length && !open.some(isLink)) {
          outer.push(...linked.map((each) => reference(each, "number")));
          linked = [];
        }
      }
    } else if (token.type === "footnote_reference" && open.some(isLink)) {
      children.push(reference(token, "text"));
      linked.push(token);
    } else if (isFinished(token)) {
      children.push(...drawn(token, parts));
    } else {
      for (const child of leaf(token, growing)) add(children, child);
    }
  }
  return root;
}

function isLink({ token }: { token: Token }): boolean {
  return token.tag === "a";
}

/**
 * Of a text node that changes, the browser shapes all letters anew. So a paragraph that grows has text
 * nodes of about this many characters, of which only the last one changes.
 */
const TEXT_NODE_CHARS = 2000;

/** Where a text may be cut: after a space or a CJK character, as no letters are joined there. */
const GAP = /[\s\u3001-\u9fff\uff00-\uffef](?!\p{M})/gu;

/** Adjacent texts become one text node, because a long paragraph has thousands of tokens. */
function add(children: VNodeArrayChildren, child: VNodeArrayChildren[number]): void {
  if (typeof child !== "string") {
    children.push(child);
    return;
  }
  let text = typeof children.at(-1) === "string" ? String(children.pop()) + child : child;
  while (text.length > TEXT_NODE_CHARS) {
    GAP.lastIndex = TEXT_NODE_CHARS - 1;
    if (!GAP.test(text) || GAP.lastIndex === text.length) break;
    children.push(text.slice(0, GAP.lastIndex));
    text = text.slice(GAP.lastIndex);
  }
  children.push(text);
}

/**
 * A paragraph that changes is laid out anew from its beginning. So while a very long one grows, it is in
 * pieces of about this many characters, each a block of its own; the line in which one ends is shorter
 * until then. Few paragraphs are as long.
 */
const PIECE_CHARS = 8000;

function pieces(children: VNodeArrayChildren, growing: boolean): VNodeArrayChildren {
  const found: VNodeArrayChildren[] = [[]];
  let length = 0;
  for (const child of children) {
    if (length >= PIECE_CHARS) {
      found.push([]);
      length = 0;
    }
    found.at(-1)?.push(child);
    length += textLength(child);
  }
  if (found.length === 1) return children;
  return found.map((piece) => h("span", { class: growing ? "text-piece" : undefined }, piece));
}

function textLength(child: unknown): number {
  if (typeof child === "string") return child.length;
  if (Array.isArray(child)) return child.reduce((sum: number, each) => sum + textLength(each), 0);
  return isVNode(child) ? textLength(child.children) : 0;
}

function element(token: Token, children: VNodeArrayChildren, dir: Direction): VNodeArrayChildren {
  if (token.hidden) return children; // the paragraphs in a tight list
  if (token.tag === "a") return [link(String(token.attrGet("href")), children)];
  if (token.tag === "table") return [h(ScrollingTable, { dir }, () => children)];
  if (token.type === "footnote_open")
    return [h(FootnoteText, { footnote: token.meta as Footnote }, () => children)];
  const name = ELEMENTS[token.tag];
  if (!name) return children;
  const style = token.attrGet("style"); // a column's alignment, as a class because the policy forbids inline styles
  const align = style && /(left|center|right)$/.exec(String(style))?.[1];
  const start = token.attrGet("start");
  return [
    h(
      name,
      {
        ...(token.block && HAS_DIRECTION.has(name) && dir && { dir }),
        ...((name === "code" || name === "kbd") && { dir: "ltr" }),
        ...(align && { class: `align-${align}` }),
        ...(start !== null && { start }),
        ...(name === "details" && { open: token.meta.isOpen }),
        ...(name === "abbr" && { title: token.attrGet("title") }),
      },
      children,
    ),
  ];
}

function leaf(token: Token, growing: boolean): VNodeArrayChildren {
  switch (token.type) {
    case "inline":
      return [
        ...(token.meta ? [h(TaskMark, token.meta as Task)] : []),
        ...render(token.children ?? [], growing),
      ];
    case "footnote_reference":
      return [reference(token)];
    case "html_comment": // with content: a block without its end, which growth may bring
      return token.content && !growing ? [h("p", token.content)] : [];
    case "html_break":
      return [h("wbr")];
    case "softbreak":
      return ["\n"];
    case "hardbreak":
      return [h("br")];
    case "hr":
      return [h("hr")];
    case "code_inline":
      return [h("code", { dir: "ltr" }, token.content)];
    case "fence":
    case "code_block":
      return [h(CodeBlock, { language: languageOf(token), code: token.content, growing })];
    case "math_inline":
    case "math_block":
      return [h(MathFormula, { tex: token.content, growing, ...(token.meta as Formula) })];
    case "image":
      return [image(token, growing)];
    default:
      return [token.content];
  }
}

function reference(token: Token, only?: "text" | "number"): VNode {
  const footnote = token.meta as Footnote;
  return h(FootnoteReference, { footnote, source: token.content, ...(only && { only }) });
}

function languageOf(token: Token): string {
  return token.info.trim().split(/\s+/, 1)[0] ?? "";
}

/** Whether an address becomes a link; others are shown as text. */
function isWeb(address: string): boolean {
  return /^(https?:|mailto:)/i.test(address);
}

function link(address: string, children: VNodeArrayChildren): VNode {
  if (!isWeb(address)) return h("span", children);
  return h(
    "a",
    { href: address, target: "_blank", rel: "noopener noreferrer nofollow", title: address },
    children,
  );
}

function image(token: Token, growing: boolean): VNode {
  const address = String(token.attrGet("src"));
  if (/^data:/i.test(address)) return h(DataImage, { address, alt: token.content, growing });
  // The policy allows images over https only; other addresses become links.
  if (/^https:/i.test(address)) return h(ExternalImage, { address, alt: token.content });
  return link(address, [token.content || address]);
}
