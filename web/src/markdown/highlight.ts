/**
 * Syntax highlighting. The highlighter is loaded with the first code block, and the grammar of each
 * language with the first block in it. It makes Vue nodes and no HTML.
 */

import type { Element, Root, RootContent } from "hast";
import { createLowlight } from "lowlight";
import { h, type VNodeArrayChildren } from "vue";
import { GRAMMARS } from "./grammars";
import { languageOf } from "./languageNames";

/** Colours code in one language. */
export type Highlight = (code: string) => VNodeArrayChildren;

/**
 * The languages within others that are worth another file: scripts and styles in a page, a shell's
 * commands. The others are shown plain within it, unless they were loaded before.
 */
const EMBEDDED: Readonly<Record<string, readonly string[]>> = {
  xml: ["css", "javascript"],
  javascript: ["xml", "css"],
  typescript: ["xml", "css"],
  "php-template": ["xml", "php"],
  dockerfile: ["bash"],
  shell: ["bash"],
  markdown: ["xml"],
  asciidoc: ["xml"],
  django: ["xml"],
  twig: ["xml"],
  handlebars: ["xml"],
  erb: ["xml", "ruby"],
  haml: ["ruby"],
  coffeescript: ["javascript"],
  "julia-repl": ["julia"],
  "python-repl": ["python"],
  qml: ["xml"],
};

const lowlight = createLowlight();
const loading = new Map<string, Promise<void>>();

/** The highlighter of the language that is called `name`; undefined if there is none. */
export async function loadHighlight(name: string): Promise<Highlight | undefined> {
  const language = languageOf(name);
  if (!language) return undefined;
  await Promise.all([language, ...embeddedIn(language)].map(loadGrammar));
  return (code) => nodes(lowlight.highlight(language, code));
}

/** The languages within `language`, and those within them. */
function embeddedIn(language: string): Set<string> {
  const found = new Set<string>();
  const wanted = [...(EMBEDDED[language] ?? [])];
  for (let next = wanted.pop(); next; next = wanted.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    wanted.push(...(EMBEDDED[next] ?? []));
  }
  return found;
}

/** Loads a grammar once, and tries again with the next code block if that failed. */
function loadGrammar(language: string): Promise<void> {
  let promise = loading.get(language);
  if (!promise) {
    promise = register(language).catch((error: unknown) => {
      loading.delete(language);
      throw error;
    });
    loading.set(language, promise);
  }
  return promise;
}

async function register(language: string): Promise<void> {
  const grammar = await GRAMMARS[language]?.();
  if (grammar) lowlight.register(language, grammar.default);
}

function nodes(parent: Root | Element): VNodeArrayChildren {
  return parent.children.map((node: RootContent) => {
    if (node.type === "text") return node.value;
    if (node.type !== "element") return "";
    return h("span", { class: node.properties.className }, nodes(node));
  });
}
