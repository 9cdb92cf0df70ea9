/** Markdown as the page shows it, drawn without a browser. */

import { vi } from "vitest";
import { createSSRApp, h } from "vue";
import { createI18n } from "vue-i18n";
import { renderToString } from "vue/server-renderer";
import { en } from "../../src/i18n/en";
import { messagesOf } from "../../src/i18n/messages";
import MarkdownText from "../../src/markdown/MarkdownText.vue";

vi.stubGlobal("navigator", {}); // whose clipboard the buttons for copying look for

/** The HTML of `text` as {@link htmlOf} has it, but for the directions of its texts. */
export async function plainHtmlOf(text: string, growing = false): Promise<string> {
  return (await htmlOf(text, growing)).replaceAll(/ dir="[a-z]+"/g, "");
}

/** The HTML of `text`, without Vue's comments and the frames around it and around its blocks. */
export async function htmlOf(text: string, growing = false): Promise<string> {
  return (await drawn([text], growing))
    .replaceAll(/<!--.*?-->/gs, "")
    .replace(/^<div class="markdown"[^>]*>([^]*)<\/div>$/, "$1")
    .replace(/^<div class="blocks">([^]*?)<\/div>(<section class="footnotes"[^]*)?$/, "$1$2");
}

/** The HTML of a page that shows these texts. */
export function pageOf(...texts: string[]): Promise<string> {
  return drawn(texts, false);
}

function drawn(texts: readonly string[], growing: boolean): Promise<string> {
  const app = createSSRApp({
    render: () => texts.map((text) => h(MarkdownText, { text, growing })),
  });
  return renderToString(app.use(createI18n({ legacy: false, messages: { en: messagesOf(en) } })));
}
