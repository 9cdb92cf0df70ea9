/** Which models there are, and which one is asked next. */

import { ref, shallowRef } from "vue";
import { api, type Model } from "../api";

export const models = shallowRef<Model[]>([]);
/** Null: whatever the conversation or the server prefers. */
export const chosen = ref<string | null>(null);

export async function loadModels(): Promise<void> {
  try {
    models.value = (await api.models()).data;
  } catch {
    // The server's default is asked; the next look tries again.
  }
}

/** The model that a conversation goes on with: its last answer's, its own, the server's. */
export function suggest(...candidates: (string | null | undefined)[]): void {
  const served = models.value.find((model) => model.default)?.id;
  chosen.value = candidates.find((candidate) => candidate) ?? served ?? null;
}
