/** Why something did not work, in words. */

import { useI18n } from "vue-i18n";

/** The words for a code; one that nobody reckoned with speaks for itself. */
export function useFailureWords(): (code: string) => string {
  const { t, te } = useI18n();
  return (code) => t(te(`failure.${code}`) ? `failure.${code}` : "failure.other", { code });
}
