/** The page's texts for tests, in either language. */

import { createI18n } from "vue-i18n";
import type { Translator } from "../../src/components/endingText";
import { en } from "../../src/i18n/en";
import { messagesOf } from "../../src/i18n/messages";
import { zh } from "../../src/i18n/zh";

/** The texts as components get them. */
export function textsIn(locale: "en" | "zh"): Translator {
  const { global } = createI18n({
    legacy: false,
    locale,
    messages: { en: messagesOf(en), zh: messagesOf(zh) },
  });
  return { t: global.t, te: global.te, locale };
}
