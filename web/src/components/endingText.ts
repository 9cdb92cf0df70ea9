/** How an answer ended, as text, and whether asking the model to continue makes sense. */

import type { DisplayedMessage } from "../state/displayedMessage";

type Translate = (key: string, named?: Record<string, unknown>) => string;

/** The text below an answer that has ended; empty if it is simply complete. */
export function endingText(
  answer: Pick<DisplayedMessage, "status" | "finishReason" | "error" | "blocks">,
  t: Translate,
  te: (key: string) => boolean,
): string {
  const { status, finishReason, error } = answer;
  if (status === "failed" || status === "refused") {
    const key = `errors.${error?.code}`;
    return t(`ending.${status}`, { message: te(key) ? t(key) : (error?.message ?? "") });
  }
  if (status === "stopped" || status === "abandoned" || status === "interrupted")
    return t(`ending.${status}`);
  if (finishReason === "length" || finishReason === "content_filter")
    return t(`ending.${finishReason}`);
  return status === "complete" && !answer.blocks.length ? t("ending.empty") : "";
}

/** Whether an answer was cut off after some of its text had arrived. */
export function canContinue(
  answer: Pick<DisplayedMessage, "status" | "finishReason" | "blocks">,
): boolean {
  const isCut = answer.status === "complete" ? answer.finishReason === "length" : true;
  return isCut && answer.blocks.some((block) => block.type === "text");
}
