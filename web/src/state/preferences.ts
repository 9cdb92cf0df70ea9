/** Preferences that this browser keeps: language and theme. */

import { ref, watch, type Ref } from "vue";
import { deviceStorage } from "./browserStorage";

/** A ref that is kept in the device's storage. It is one of `allowed`, and the first by default. */
function persisted<T extends string>(name: string, allowed: readonly T[]): Ref<T> {
  const storageName = `headrace.${name}`;
  const stored = deviceStorage.read(storageName) as T;
  const [defaultValue] = allowed;
  const value = ref(allowed.includes(stored) ? stored : defaultValue) as Ref<T>;
  watch(value, (changed) => deviceStorage.write(storageName, changed));
  return value;
}

export type Locale = "en" | "zh";
const browserLocale: Locale = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";

export const locale = persisted<Locale>(
  "locale",
  browserLocale === "zh" ? ["zh", "en"] : ["en", "zh"],
);

/** `system` follows the operating system's theme. */
export const theme = persisted("theme", ["system", "light", "dark"]);
