/** What could not be done, said for some seconds: small things, whose failing changes nothing else. */

import { ref } from "vue";
import { codeOf } from "../api";

/** Long enough to read a sentence twice. */
const SAID_MS = 8000;

/** The code of why; null while there is nothing to say. */
export const notice = ref<string | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;

/** Do it, and say so if it fails, with the `code` that its error has unless told. Returns whether it worked. */
export async function tried(work: Promise<unknown>, code?: string): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    notice.value = code ?? codeOf(error);
    clearTimeout(timer);
    timer = setTimeout(() => (notice.value = null), SAID_MS);
    return false;
  }
}
