/** Syntax highlighting, loaded with the first code block. It makes Vue nodes and no HTML. */

import type { Element, Root, RootContent } from "hast";
import { h, type VNodeArrayChildren } from "vue";

/** Longer code is shown plain, because the time for highlighting grows with its length. */
export const MAX_CHARS = 100_000;

/** Highlights code; returns undefined if the language is not known. */
export type Highlight = (language: string, code: string) => VNodeArrayChildren | undefined;

let loading: Promise<Highlight> | undefined;

/** Loads the highlighter once, and tries again with the next code block if that failed. */
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
