/** Says of a question that it is too long, before it is sent. */

import { computed, type ComputedRef } from "vue";
import { useI18n } from "vue-i18n";
import { chat } from "../state/chat";
import { limits } from "../state/limits";
import { excessOf } from "../state/questionLength";
import { conversationId } from "../state/route";

/** By how much a question in the open conversation is too long, in words; "" if it is not. */
export function useExcessText(question: () => string): ComputedRef<string> {
  const { t } = useI18n();
  return computed(() => {
    if (limits.value === null) return "";
    const prompt = { text: chat.systemPrompt.value, isSent: conversationId.value === null };
    const excess = excessOf(question().trim(), prompt, limits.value);
    return excess ? t(`composer.excess.${excess.unit}`, { count: excess.count }) : "";
  });
}
