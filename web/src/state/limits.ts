/** The server's limits of a question, so that the page can say what exceeds them before it is sent. */

import { shallowRef } from "vue";
import type { QuestionLimits } from "../api";
import { api } from "./server";

/** Null until they are known; then the server refuses what exceeds them. */
export const limits = shallowRef<QuestionLimits | null>(null);

export async function loadLimits(): Promise<void> {
  try {
    limits.value ??= (await api.me()).limits;
  } catch {
    // They are asked for again when they are needed the next time.
  }
}
