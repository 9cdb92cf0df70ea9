/** The models that the server offers, and the one that is selected for the next question. */

import { ref, shallowRef } from "vue";
import type { Model } from "../api";
import { api } from "./server";

export const models = shallowRef<Model[]>([]);
/** Null leaves the choice to the server: the conversation's model, or its default. */
export const selectedModel = ref<string | null>(null);

export async function loadModels(): Promise<void> {
  try {
    models.value = (await api.models()).data;
  } catch {
    // Without the list the server's default model is used, and there is nothing to select.
  }
}

/** Select the first of `candidates` that is given, or else the server's default. */
export function selectModel(...candidates: (string | null | undefined)[]): void {
  const defaultModel = models.value.find((model) => model.default)?.id;
  selectedModel.value = candidates.find((candidate) => candidate) ?? defaultModel ?? null;
}
