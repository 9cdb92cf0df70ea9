/**
 * Keeps the focus near its place when the element that has it is removed, hidden or disabled.
 *
 * Browsers let it fall to the body then: a keyboard starts again at the top of the page, and a screen
 * reader loses its place. Where the best place is known, a component moves the focus there itself.
 */

import { hasKeyboard } from "./useQuestionField";

const FOCUSABLE = "a[href], button, select, textarea, input, summary, [tabindex]";
/** On a touch screen a field would open the keyboard. */
const FIELD = "textarea, input:not([type=checkbox])";

/** An element and its index among its siblings, which tells its neighbours once it is removed. */
interface Place {
  element: Element;
  index: number;
}

/** The focused element, and what it is in; the innermost first. */
let places: Place[] = [];

/** Begin to watch the focus. */
export function keepFocus(): void {
  document.addEventListener("focusin", ({ target }) => (places = placesOf(target as Element)));
  // When an element is hidden, nothing tells but that it loses the focus; its successor has it by then.
  document.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget === null) setTimeout(check);
  });
  new MutationObserver(check).observe(document.body, {
    attributeFilter: ["disabled", "inert"],
    childList: true,
    subtree: true,
  });
}

function placesOf(focused: Element): Place[] {
  const found: Place[] = [];
  for (let element: Element | null = focused; element; element = element.parentElement)
    found.push({ element, index: [...(element.parentElement?.children ?? [])].indexOf(element) });
  return found;
}

/** Called after each change of the page, so it asks first what costs least. */
function check(): void {
  const focused = places[0]?.element;
  if (!focused) return;
  const isLost = document.activeElement === document.body;
  if (!isLost && !(document.activeElement === focused && focused.matches(":disabled"))) return;
  const lostPlaces = places;
  places = []; // if it still can have the focus, a click beside it has taken it away
  if (!canHaveFocus(focused)) neighbour(lostPlaces)?.focus({ preventScroll: true });
}

function canHaveFocus(element: Element): boolean {
  return (
    element.isConnected &&
    !element.matches(":disabled") &&
    element.closest("[inert]") === null &&
    element.checkVisibility({ visibilityProperty: true })
  );
}

/** What is next to a place that is gone, or else before it; within the innermost part that is left. */
function neighbour(lost: readonly Place[]): HTMLElement | undefined {
  for (const [depth, { element }] of lost.entries()) {
    const index = lost[depth - 1]?.index;
    if (index === undefined || !element.isConnected) continue;
    const children = [...element.children];
    for (const child of [...children.slice(index), ...children.slice(0, index).reverse()]) {
      const found = [child, ...child.querySelectorAll(FOCUSABLE)].find(isStop);
      if (found) return found as HTMLElement;
    }
    if (element.matches("main")) return element as HTMLElement;
  }
  return undefined;
}

function isStop(element: Element): boolean {
  if (!element.matches(FOCUSABLE) || (element as HTMLElement).tabIndex < 0) return false;
  return canHaveFocus(element) && (hasKeyboard || !element.matches(FIELD));
}
