/**
 * Markdown and code, loaded with the first message: an empty page does without their parser, which is
 * a third of the page. Until it is there, and where it cannot be loaded, a text is shown as it is.
 */

import { defineAsyncComponent, h, type Component, type FunctionalComponent } from "vue";

/** Milliseconds until a text is shown as it is. Sooner it would flicker before it is set. */
const PATIENCE_MS = 300;

/** Milliseconds between attempts. They go on while the text is shown: a server may be away for long. */
const RETRY_MS = 3000;

const PlainText: FunctionalComponent<{ text?: string; code?: string }> = ({ text, code }) =>
  h("div", { class: "markdown plain", dir: "auto" }, text ?? code);
PlainText.props = ["text", "code", "language", "growing"];

function onDemand<T extends Component>(load: () => Promise<{ default: T }>): T {
  return defineAsyncComponent({
    loader: load as () => Promise<{ default: never }>,
    loadingComponent: PlainText,
    delay: PATIENCE_MS,
    onError: (_error, retry) => void setTimeout(retry, RETRY_MS),
  }) as T;
}

const loadText = () => import("./MarkdownText.vue");

/** A text as Markdown. */
export const MarkdownText = onDemand(loadText);

/** Code, as it is shown within a text. */
export const CodeBlock = onDemand(() => import("./CodeBlock.vue"));

/** Loads what shows a text before there is one, so that it is there when its first words come. */
export function loadMarkdown(): void {
  loadText().catch(() => undefined); // tried again by the text that needs it
}
