/** Why something failed, as text. */

import { useI18n } from "vue-i18n";
import { errorText, type Translator } from "./endingText";

/** Returns a function from an error's code to its text. */
export function useErrorText(): (code: string) => string {
  const { t, te } = useI18n();
  return (code) => errorText(code, { t, te });
}

/** The texts of the page's language at the moment of each call. */
export function useTexts(): () => Translator {
  const { t, te, locale } = useI18n();
  return () => ({ t, te, locale: locale.value });
}
