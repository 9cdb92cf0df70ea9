/** Whether a key belongs to an input method, with which Chinese, Japanese and Korean are typed. */

/** The code of keys that an input method handles. */
const HANDLED = 229;

/**
 * Whether `event` belongs to an input method: Enter selects a word, and Escape discards it. Safari
 * ends the composition before it reports the key that ended it, and only `keyCode` tells.
 */
export function isComposing({ isComposing: composing, keyCode }: KeyboardEvent): boolean {
  return composing || keyCode === HANDLED;
}
