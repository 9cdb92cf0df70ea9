/**
 * The question that is on its way, kept by the tab until the server has said that it began.
 *
 * A page that is loaded again in between asks with the same key, which makes it the same question:
 * neither lost nor asked twice.
 */

import type { Question } from "../stream";

export interface Outgoing {
  key: string;
  question: Question;
}

const PLACE = "headrace.asking";

export function keep(outgoing: Outgoing): void {
  sessionStorage.setItem(PLACE, JSON.stringify(outgoing));
}

/** It arrived, or never will. */
export function forget(): void {
  sessionStorage.removeItem(PLACE);
}

/** What an earlier load of this page left. */
export function left(): Outgoing | null {
  return JSON.parse(sessionStorage.getItem(PLACE) ?? "null");
}
