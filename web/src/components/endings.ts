/** How an answer ended, in words, and whether it makes sense to go on from there. */

import type { Shown } from "../state/messages";

type Translate = (key: string, named?: Record<string, unknown>) => string;

/** Nothing for an answer that is simply complete. */
export function endingWords(
  answer: Pick<Shown, "status" | "finishReason" | "error" | "blocks">,
  t: Translate,
  te: (key: string) => boolean,
): string {
  const { status, finishReason, error } = answer;
  if (status === "failed" || status === "refused") {
    const known = `failure.${error?.code}`;
    return t(`ending.${status}`, { message: te(known) ? t(known) : (error?.message ?? "") });
  }
  if (status === "stopped" || status === "abandoned" || status === "interrupted")
    return t(`ending.${status}`);
  if (finishReason === "length" || finishReason === "content_filter")
    return t(`ending.${finishReason}`);
  return status === "complete" && !answer.blocks.length ? t("ending.empty") : "";
}

/** There is a part of it, and more would have come. */
export function mayContinue(answer: Pick<Shown, "status" | "finishReason" | "blocks">): boolean {
  const cut = answer.status === "complete" ? answer.finishReason === "length" : true;
  return cut && answer.blocks.some((block) => block.type === "text");
}
