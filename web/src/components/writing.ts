/** What fields for questions share: they grow with their text, and Enter sends. */

import { nextTick, onMounted, watch, type Ref } from "vue";

/** With a finger one writes lines and taps the button; Enter sends where there are keys. */
export const hasKeys = matchMedia("(hover: hover)").matches;

/** Let `field` grow with `text`. Returns what to do when Enter is pressed in it. */
export function useWriting(
  field: Ref<HTMLTextAreaElement | null>,
  text: Ref<string>,
  send: () => void,
): (event: KeyboardEvent) => void {
  const fit = () => {
    if (!field.value) return;
    field.value.style.height = "auto";
    field.value.style.height = `${field.value.scrollHeight}px`;
  };
  onMounted(fit);
  watch(text, () => nextTick(fit));
  return (event) => {
    // An input method's Enter chooses a word: it is still composing then.
    if (!hasKeys || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
}
