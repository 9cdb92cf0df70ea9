/** The models that the server offers, and the one that is selected for the next question. */

import { computed, shallowRef } from "vue";
import type { Model } from "../api";
import { deviceStorage, keptName } from "./browserStorage";
import { drafts } from "./drafts";
import { conversationId } from "./route";
import { api } from "./server";
import { user } from "./session";

export const models = shallowRef<Model[]>([]);

const selected = shallowRef<string | null>(null);

/**
 * Null leaves the choice to the server: the conversation's model, or its default. What is chosen here
 * is kept for the next question of the conversation, and for new ones.
 */
export const selectedModel = computed({
  get: () => selected.value,
  set: (model) => {
    selected.value = model;
    if (conversationId.value !== null) drafts.write("model", conversationId.value, model ?? "");
    deviceStorage.write(lastChosenName(), model);
  },
});

const lastChosenName = (): string => keptName(user.value, "model");

export async function loadModels(): Promise<void> {
  try {
    models.value = (await api.models()).data;
  } catch {
    // Without the list the server's default model is used, and there is nothing to select.
  }
}

/**
 * Select the model for the open conversation: the one that was chosen for its next question, or else
 * the first of `candidates` that is given, the one that was chosen last, the server's default. One
 * that was chosen and is not offered any more is left out.
 */
export function preselectModel(...candidates: (string | null | undefined)[]): void {
  const offered = new Set(models.value.map(({ id }) => id));
  const chosen = [drafts.read("model", conversationId.value), deviceStorage.read(lastChosenName())];
  const [next, last] = chosen.map((model) => (model && offered.has(model) ? model : null));
  const byDefault = models.value.find((model) => model.default)?.id;
  selected.value = [next, ...candidates, last, byDefault].find((model) => model) ?? null;
}
