/** The page's two languages: the browser's at first, then whichever was chosen. */

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
  (chosen) => {
    i18n.global.locale.value = chosen;
    document.documentElement.lang = chosen === "zh" ? "zh-CN" : "en";
  },
  { immediate: true },
);
