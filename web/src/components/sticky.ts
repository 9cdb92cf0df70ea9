/** A page that stays at its end while it grows there, and lets go when its reader scrolls up. */

import { nextTick, onBeforeUnmount, onMounted, ref, type Ref } from "vue";

/** Pixels from the end that count as the end: a line of text, so that nobody has to aim. */
const NEAR_PX = 32;

/**
 * Keeps the page's end in sight while `content` grows; `stick` goes there and stays. `hold` lets the
 * page change and keeps `place` where it is seen.
 */
export function useStickyScroll(content: Ref<HTMLElement | null>): {
  sticks: Ref<boolean>;
  stick: () => void;
  hold: (place: HTMLElement, change: () => void) => Promise<void>;
} {
  const sticks = ref(true);
  const page = document.documentElement;
  let lastTop = 0;

  const toEnd = () => page.scrollTo({ top: page.scrollHeight, behavior: "instant" });
  const scrolled = () => {
    const top = page.scrollTop;
    const atEnd = page.scrollHeight - top - page.clientHeight <= NEAR_PX;
    // Growth moves the end away and scrolls nothing; only its reader can move the page up.
    if (atEnd) sticks.value = true;
    else if (top < lastTop) sticks.value = false;
    lastTop = top;
  };
  const growth = new ResizeObserver(() => {
    if (sticks.value) toEnd();
  });

  onMounted(() => {
    if (content.value) growth.observe(content.value);
    document.addEventListener("scroll", scrolled, { passive: true });
  });
  onBeforeUnmount(() => {
    growth.disconnect();
    document.removeEventListener("scroll", scrolled);
  });
  return {
    sticks,
    stick: () => {
      sticks.value = true;
      toEnd();
    },
    hold: async (place, change) => {
      const seenAt = place.getBoundingClientRect().top;
      sticks.value = false;
      change();
      await nextTick();
      page.scrollBy({ top: place.getBoundingClientRect().top - seenAt, behavior: "instant" });
      scrolled();
    },
  };
}
