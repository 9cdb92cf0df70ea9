/** An answer's token counts and times, as texts. Figures that are zero say nothing and are left out. */

import type { DisplayedMessage } from "../state/displayedMessage";
import { formatSeconds } from "./formatSeconds";

/** The texts, in the order in which they stand below the answer. */
export function metadataTexts(
  { usage, timing }: Pick<DisplayedMessage, "usage" | "timing">,
  t: (key: string, named: Record<string, unknown>) => string,
): string[] {
  const texts: string[] = [];
  if (usage) {
    const { input_tokens: input, output_tokens: output } = usage;
    const kind = input && output ? "tokens" : input ? "tokensIn" : "tokensOut";
    if (input || output)
      texts.push(t(`answer.${kind}${usage.estimated ? "Estimated" : ""}`, { input, output }));
  }
  const first = formatSeconds(timing?.first_token_ms ?? 0);
  const total = formatSeconds(timing?.total_ms ?? 0);
  if (first !== ZERO_SECONDS) texts.push(t("answer.firstToken", { seconds: first }));
  if (total !== ZERO_SECONDS) texts.push(t("answer.total", { seconds: total }));
  return texts;
}

const ZERO_SECONDS = formatSeconds(0);
