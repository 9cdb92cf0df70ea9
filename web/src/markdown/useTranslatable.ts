/**
 * Lets browsers translate a text that grows.
 *
 * A browser that translates a page replaces texts by `<font>` elements. What Vue would then write into
 * a text that it has replaced is not seen, and the answer seems to stand still. So a growing text is
 * not translated; once it has ended it is made anew, for the browser to translate all of it.
 */

import { shallowRef, watch, type ShallowRef } from "vue";

/** Only browsers that translate make elements of this kind. */
const TRANSLATED = "font";

/**
 * Returns a key for `root`, which changes when the element has to be made anew: when the text has
 * ended on a page that is translated, or if it was replaced while it grew.
 */
export function useTranslatable(
  root: Readonly<ShallowRef<HTMLElement | null>>,
  text: () => string,
  isGrowing: () => boolean,
): ShallowRef<number> {
  const key = shallowRef(0);
  watch([text, isGrowing], ([, growing], [, hasGrown]) => {
    const ended = hasGrown && !growing;
    const seen = ended ? document : root.value;
    if (seen?.getElementsByTagName(TRANSLATED).length) key.value += 1;
  });
  return key;
}
