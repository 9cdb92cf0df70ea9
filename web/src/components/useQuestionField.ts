/** What the fields for questions share: they grow with their text, and Enter sends. */

import { nextTick, onMounted, watch, type Ref } from "vue";
import { isComposing } from "./composing";

/** Whether Enter sends. On a touch screen it starts a new line, and the button sends. */
export const hasKeyboard = matchMedia("(hover: hover)").matches;

/** Let `field` grow with `text`. Returns the handler for Enter in the field. */
export function useQuestionField(
  field: Ref<HTMLTextAreaElement | null>,
  text: Ref<string>,
  send: () => void,
): (event: KeyboardEvent) => void {
  const resize = () => {
    if (!field.value) return;
    field.value.style.height = "auto";
    field.value.style.height = `${field.value.scrollHeight}px`;
  };
  onMounted(resize);
  watch(text, () => nextTick(resize));
  return (event) => {
    // While an input method is composing, Enter selects a word.
    if (!hasKeyboard || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    send();
  };
}
