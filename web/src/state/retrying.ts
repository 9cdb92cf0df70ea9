/** Loading again what could not be loaded, once the server can be reached. */

import { watch } from "vue";
import { browserReconnectTrigger, saysUnreachable } from "../stream";
import { Backoff, waitForRetry } from "../stream/backoff";

/** The server's codes of errors that pass without anybody's doing. */
const TEMPORARY = /^(unreachable|storage_unavailable|overloaded|auth_unavailable|shutting_down)$/;
const isTemporary = (code: string) => TEMPORARY.test(code) || saysUnreachable(code);

/**
 * Call `load` while one of `errors` is the code of a temporary error: after growing delays, and at
 * once when the browser is online again.
 */
export function retryWhileUnreachable(
  errors: () => readonly (string | null)[],
  load: () => Promise<unknown>,
): void {
  const hasFailed = () => errors().some((code) => code !== null && isTemporary(code));
  let isRetrying = false;
  watch(
    hasFailed,
    async () => {
      if (isRetrying) return;
      isRetrying = true;
      const backoff = new Backoff();
      while (hasFailed()) {
        await waitForRetry(backoff.nextDelayMs(), undefined, browserReconnectTrigger);
        if (hasFailed()) await load();
      }
      isRetrying = false;
    },
    { immediate: true },
  );
}
