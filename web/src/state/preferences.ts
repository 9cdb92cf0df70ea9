/** What this browser remembers of its reader's wishes. */

import { ref, watch, type Ref } from "vue";
import { device } from "./kept";

/** A value that outlives the page, one of `allowed`; the first of them unless it was set. */
function remembered<T extends string>(name: string, allowed: readonly T[]): Ref<T> {
  const key = `headrace.${name}`;
  const kept = device.read(key) as T;
  const [first] = allowed;
  const value = ref(allowed.includes(kept) ? kept : first) as Ref<T>;
  watch(value, (chosen) => device.write(key, chosen));
  return value;
}

export type Locale = "en" | "zh";
const spoken: Locale = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const locale = remembered<Locale>("locale", spoken === "zh" ? ["zh", "en"] : ["en", "zh"]);

/** `system` follows the machine's. */
export const theme = remembered("theme", ["system", "light", "dark"]);
