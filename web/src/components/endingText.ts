/** How an answer ended or what it waits for, as text, and whether continuing it makes sense. */

import type { DisplayedMessage } from "../state/displayedMessage";
import { saysUnreachable } from "../stream";
import { formatTime } from "./formatTime";

type Translate = (key: string, named?: Record<string, unknown>) => string;

/** What translates into the page's language, as `useI18n` returns it. */
export interface Translator {
  t: Translate;
  te: (key: string) => boolean;
  locale: string;
}

/** Of an error the sentence for its code; an unknown code is shown as it is. */
export function errorText(code: string, { t, te }: Pick<Translator, "t" | "te">): string {
  if (saysUnreachable(code)) return t("errors.unreachable");
  return t(te(`errors.${code}`) ? `errors.${code}` : "errors.other", { code });
}

/** The text below an answer that has ended; empty if it is simply complete. */
export function endingText(
  answer: Pick<DisplayedMessage, "status" | "finishReason" | "error" | "blocks" | "waiting">,
  texts: Translator,
): string {
  const { t } = texts;
  const { status, finishReason, error, blocks, waiting } = answer;
  const message = error ? errorText(error.code, texts) : "";
  const kept = blocks.length ? t("ending.kept") : "";
  if (status === "refused") {
    const again = waiting && t("ending.again", { time: formatTime(waiting.until, texts.locale) });
    return t("ending.refused", { message: join(t, message, again) });
  }
  if (status === "failed") return t("ending.failed", { message });
  // The server could not store the end, so it may have kept less than it sent.
  if (status === "interrupted" && error) return t("ending.unsure", { message });
  if (status === "stopped" || status === "abandoned" || status === "interrupted")
    return join(t, t(`ending.${status}`), kept);
  if (finishReason === "length" || finishReason === "content_filter")
    return t(`ending.${finishReason}`);
  return status === "complete" && !blocks.length ? t("ending.empty") : "";
}

/** What an answer that has not ended waits for; empty if it waits for the model only. */
export function waitingText(
  { status, waiting }: Pick<DisplayedMessage, "status" | "waiting">,
  texts: Translator,
): string {
  const { t } = texts;
  if (!waiting) return "";
  const isAsking = status === "asking";
  if (waiting.code === "unreachable") return t(isAsking ? "answer.sending" : "answer.reconnecting");
  const key = isAsking ? "answer.refusedNow" : "answer.unreadableNow";
  return t(key, { message: errorText(waiting.code, texts) });
}

/** Sentences one after the other, as the language sets them. */
function join(t: Translate, first: string, second: string | null): string {
  return second ? t("sentences", { first, second }) : first;
}

/** Whether an answer was cut off after some of its text had arrived. */
export function canContinue(
  answer: Pick<DisplayedMessage, "status" | "finishReason" | "blocks">,
): boolean {
  const isCut = answer.status === "complete" ? answer.finishReason === "length" : true;
  return isCut && answer.blocks.some((block) => block.type === "text");
}
