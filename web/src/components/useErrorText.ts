/** Why something failed, as text. */

import { useI18n } from "vue-i18n";

/** Returns a function from an error's code to its text; unknown codes are shown as they are. */
export function useErrorText(): (code: string) => string {
  const { t, te } = useI18n();
  return (code) => t(te(`errors.${code}`) ? `errors.${code}` : "errors.other", { code });
}
