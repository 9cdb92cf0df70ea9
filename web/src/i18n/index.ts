/** The page's texts in its two languages: the browser's language until the user selects one. */

import { watch } from "vue";
import { createI18n } from "vue-i18n";
import { locale } from "../state/preferences";
import { en } from "./en";
import { zh } from "./zh";

export const i18n = createI18n({
  legacy: false,
  locale: locale.value,
  fallbackLocale: "en",
  messages: { en, zh },
});

watch(
  locale,
  (selected) => {
    i18n.global.locale.value = selected;
    document.documentElement.lang = selected === "zh" ? "zh-CN" : "en";
  },
  { immediate: true },
);
