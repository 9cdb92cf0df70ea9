/**
 * Makes MathML of TeX, with Temml. Loaded with the first formula, together with the styles of what
 * browsers' MathML lacks.
 */

import temml from "temml";
import "../style/math.css";
import { copyFormulas, setCopied, type Copied } from "./copyFormulas";
import { MACROS, maxChars, prepared } from "./texPreparation";

copyFormulas();

/** How large one length may be, in em and in points, so that a formula stays where it belongs. */
const MAX_SIZE: [number, number] = [40, 400];

/** A definition that needs more is one that contains itself. */
const MAX_EXPANSIONS = 1000;

/**
 * Draws a formula into `element`; returns false if it is not valid TeX, or too long.
 *
 * Without `trust` a formula can have no images, classes or ids. Its elements are made one by one, so
 * the page's policy need not allow HTML made of strings; inline styles it allows to scripts.
 */
export function drawFormula(formula: Copied, display: boolean, element: HTMLElement): boolean {
  const { tex } = formula;
  if (tex.length > maxChars(tex)) return false;
  try {
    temml.render(prepared(tex), element, {
      displayMode: display,
      throwOnError: true,
      maxSize: MAX_SIZE,
      maxExpand: MAX_EXPANSIONS,
      macros: { ...MACROS }, // Temml adds the formula's own to it
    });
    setCopied(element, formula);
    return true;
  } catch {
    element.textContent = "";
    return false;
  }
}

const onResize = new WeakMap<Element, () => void>();
const observer = new ResizeObserver((entries) => {
  for (const { target } of entries) onResize.get(target)?.();
});

/** Calls `changed` when the room that `element` has, or what is in it, may have another width. */
export function observeWidth(element: HTMLElement, changed: () => void): () => void {
  onResize.set(element, changed);
  observer.observe(element);
  return () => observer.unobserve(element);
}
