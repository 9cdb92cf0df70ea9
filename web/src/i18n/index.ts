/**
 * The page's texts in its two languages: the browser's language until the user selects one. Each is
 * loaded when it is first shown, since hardly anybody needs both.
 */

import { watch } from "vue";
import { createI18n } from "vue-i18n";
import { withNotice } from "../state/notice";
import { locale, type Locale } from "../state/preferences";
import type { en } from "./en";
import { messagesOf, type Messages } from "./messages";

type Table = Messages<typeof en>;

const tables: Record<Locale, () => Promise<typeof en>> = {
  en: async () => (await import("./en")).en,
  zh: async () => (await import("./zh")).zh,
};

export const i18n = createI18n<[Table], Locale, false>({
  legacy: false,
  locale: locale.value,
  messages: {} as Record<Locale, Table>,
});

/** Show the page in the selected language, once its texts are loaded. */
export async function showLanguage(): Promise<void> {
  const selected = locale.value;
  i18n.global.setLocaleMessage(selected, messagesOf(await tables[selected]()));
  if (selected !== locale.value) return; // the user was faster
  i18n.global.locale.value = selected;
  document.documentElement.lang = selected === "zh" ? "zh-CN" : "en";
}

watch(locale, async () => {
  if (!(await withNotice(showLanguage()))) locale.value = i18n.global.locale.value;
});
