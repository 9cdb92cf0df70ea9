/** A short-lived notice that something failed, for small things that affect nothing else. */

import { ref } from "vue";
import { codeOf } from "../api";

/** Long enough to read a sentence twice. */
const SHOWN_MS = 8000;

/** The code of the error that is shown; null if there is none. */
export const notice = ref<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Show that something failed, by its error's code. */
export function showNotice(code: string): void {
  notice.value = code;
  clearTimeout(timer);
  timer = setTimeout(() => (notice.value = null), SHOWN_MS);
}

/**
 * Wait for `operation` and show a notice if it fails, with its error's code unless `code` is given.
 * Returns whether it succeeded.
 */
export async function withNotice(operation: Promise<unknown>, code?: string): Promise<boolean> {
  try {
    await operation;
    return true;
  } catch (error) {
    showNotice(code ?? codeOf(error));
    return false;
  }
}
