/** Colours for code: loaded when the first code block is shown, and never as HTML. */

import type { Element, Root, RootContent } from "hast";
import { h, type VNodeArrayChildren } from "vue";

/** Code above this is shown plain: a highlighter's time grows with it, and nobody reads it for its colours. */
export const MAX_CHARS = 100_000;

/** Colours one language's code; undefined where the language is not known. */
export type Highlight = (language: string, code: string) => VNodeArrayChildren | undefined;

let loading: Promise<Highlight> | undefined;

/** The highlighter, fetched once; tried again later if that failed. */
export function loadHighlight(): Promise<Highlight> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<Highlight> {
  const { common, createLowlight } = await import("lowlight");
  const lowlight = createLowlight(common);
  return (language, code) =>
    lowlight.registered(language) ? nodes(lowlight.highlight(language, code)) : undefined;
}

function nodes(parent: Root | Element): VNodeArrayChildren {
  return parent.children.map((node: RootContent) => {
    if (node.type === "text") return node.value;
    if (node.type !== "element") return "";
    return h("span", { class: node.properties.className }, nodes(node));
  });
}
