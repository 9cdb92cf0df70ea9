/** The footnotes of one text, for the references and notes that are drawn within it. */

import { inject, provide, useId, type ComputedRef, type InjectionKey, type ShallowRef } from "vue";
import type { FootnoteNumbers } from "./footnotes";

interface Footnotes {
  readonly numbers: ComputedRef<FootnoteNumbers>;
  /** The id of the note with this number, which is like no other on the page. */
  idOf: (number: number) => string;
  /** Focus the note with this number, to which `from` refers. */
  goTo: (number: number, from: HTMLElement) => void;
  /** Focus what referred to the note. */
  goBack: (number: number) => void;
}

const KEY: InjectionKey<Footnotes> = Symbol("footnotes");

/** Lets what is drawn within `root` find the footnotes, whose numbers are `numbers`. */
export function provideFootnotes(
  root: Readonly<ShallowRef<HTMLElement | null>>,
  numbers: ComputedRef<FootnoteNumbers>,
): void {
  const id = useId();
  const idOf = (number: number) => `${id}-note-${number}`;
  const origins = new Map<number, HTMLElement>();
  provide(KEY, {
    numbers,
    idOf,
    goTo(number, from) {
      origins.set(number, from);
      document.getElementById(idOf(number))?.focus();
    },
    goBack(number) {
      const origin = origins.get(number);
      const first = root.value?.querySelector<HTMLElement>(`[href="#${CSS.escape(idOf(number))}"]`);
      (origin?.isConnected ? origin : first)?.focus();
    },
  });
}

/** The footnotes of the text that the component is drawn in. */
export function useFootnotes(): Footnotes {
  const footnotes = inject(KEY);
  if (!footnotes) throw new Error("a footnote is drawn outside of a text");
  return footnotes;
}
