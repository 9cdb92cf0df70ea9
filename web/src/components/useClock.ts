/** The time of day, for what counts seconds on the page. */

import { onScopeDispose, readonly, ref, type Ref } from "vue";

/** How often it changes: what is shown has whole seconds. */
const TICK_MS = 1000;

/** Milliseconds since 1970, which change every second until the component is gone. */
export function useClock(): Readonly<Ref<number>> {
  const now = ref(Date.now());
  const timer = setInterval(() => (now.value = Date.now()), TICK_MS);
  onScopeDispose(() => clearInterval(timer));
  return readonly(now);
}
