/** Keeps a growing page scrolled to its end until its user scrolls up. */

import { nextTick, onBeforeUnmount, onMounted, ref, type Ref } from "vue";

/** Pixels from the end that count as the end: a line of text, so that users need not hit it exactly. */
const NEAR_END_PX = 32;

/**
 * Scrolls to the page's end whenever `content` grows while `isSticky`. `scrollToEnd` makes it sticky
 * again. `keepInPlace` changes the page so that `element` does not move on the screen. While there is
 * nothing to read on, `isEmpty`, the page's beginning is shown.
 */
export function useStickyScroll(
  content: Ref<HTMLElement | null>,
  isEmpty: () => boolean,
): {
  isSticky: Ref<boolean>;
  scrollToEnd: () => void;
  keepInPlace: (element: HTMLElement, change: () => void) => Promise<void>;
} {
  const isSticky = ref(true);
  const page = document.documentElement;
  let lastTop = 0;

  const jumpToEnd = () =>
    page.scrollTo({ top: isEmpty() ? 0 : page.scrollHeight, behavior: "instant" });
  const onScroll = () => {
    const top = page.scrollTop;
    const isAtEnd = page.scrollHeight - top - page.clientHeight <= NEAR_END_PX;
    // Growth does not scroll the page, so only its user can move it up.
    if (isAtEnd) isSticky.value = true;
    else if (top < lastTop) isSticky.value = false;
    lastTop = top;
  };
  const growthObserver = new ResizeObserver(() => {
    if (isSticky.value) jumpToEnd();
  });

  onMounted(() => {
    if (content.value) growthObserver.observe(content.value);
    document.addEventListener("scroll", onScroll, { passive: true });
  });
  onBeforeUnmount(() => {
    growthObserver.disconnect();
    document.removeEventListener("scroll", onScroll);
  });
  return {
    isSticky,
    scrollToEnd: () => {
      isSticky.value = true;
      jumpToEnd();
    },
    keepInPlace: async (element, change) => {
      const topBefore = element.getBoundingClientRect().top;
      isSticky.value = false;
      change();
      await nextTick();
      const moved = element.getBoundingClientRect().top - topBefore;
      page.scrollBy({ top: moved, behavior: "instant" });
      onScroll();
    },
  };
}
