/** When an element was laid out, and whether the heights within it are still what they were. */

import { onBeforeUnmount, shallowRef, watch, type ShallowRef } from "vue";

/**
 * Calls `laidOut` after `root` was laid out with another size than before; not while it is folded away.
 * Returns a number that changes with its width, on which the heights of texts depend.
 */
export function useLayout(
  root: Readonly<ShallowRef<HTMLElement | null>>,
  laidOut: () => void,
): ShallowRef<number> {
  const widthCount = shallowRef(0);
  let observer: ResizeObserver | undefined;
  watch(
    root,
    (element) => {
      observer?.disconnect();
      if (!element) return;
      let known: number | undefined;
      observer = new ResizeObserver(([entry]) => {
        const width = entry?.contentRect.width;
        if (!width) return; // it is folded away
        if (known !== undefined && known !== width) widthCount.value += 1;
        known = width;
        laidOut();
      });
      observer.observe(element);
    },
    { flush: "post" },
  );
  onBeforeUnmount(() => observer?.disconnect());
  return widthCount;
}
