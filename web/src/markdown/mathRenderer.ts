/**
 * Makes MathML of TeX, with Temml. Loaded with the first formula, together with the styles of what
 * browsers' MathML lacks.
 */

import temml from "temml";
import "../style/math.css";
import { MACROS, prepared } from "./texPreparation";

/** How large one length may be, in em and in points, so that a formula stays where it belongs. */
const MAX_SIZE: [number, number] = [40, 400];

/** A definition that needs more is one that contains itself. */
const MAX_EXPANSIONS = 1000;

/**
 * Draws `tex` into `element`; returns false if it is not valid TeX.
 *
 * Without `trust` a formula can have no images, classes or ids. Its elements are made one by one, so
 * the page's policy need not allow HTML made of strings; inline styles it allows to scripts.
 */
export function drawFormula(tex: string, display: boolean, element: HTMLElement): boolean {
  try {
    temml.render(prepared(tex), element, {
      displayMode: display,
      throwOnError: true,
      maxSize: MAX_SIZE,
      maxExpand: MAX_EXPANSIONS,
      macros: { ...MACROS }, // Temml adds the formula's own to it
    });
    return true;
  } catch {
    element.textContent = "";
    return false;
  }
}
