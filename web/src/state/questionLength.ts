/** By how much a question is longer than the server takes, so that it is said before it is sent. */

/** The server's limits of a question. */
interface LengthLimits {
  /** Characters of the question and the system prompt together. */
  max_question_chars: number;
  /** Bytes of the request. */
  max_body_bytes: number;
}

/** Bytes of a request beside the texts: ids, the model, parameters. They have some hundred. */
const MAX_OTHER_BYTES = 4096;

/** JSON needs at most six bytes for a UTF-16 unit: `\u0000`. */
const MAX_BYTES_PER_UNIT = 6;

export interface Excess {
  count: number;
  unit: "characters" | "bytes";
}

/** Null if the question can be sent. A system prompt that is stored already is not sent again. */
export function excessOf(
  question: string,
  systemPrompt: { text: string; isSent: boolean },
  limits: LengthLimits,
): Excess | null {
  const texts = question + systemPrompt.text;
  // A character has one UTF-16 unit or two, so a short text need not be counted.
  const characters = texts.length > limits.max_question_chars ? [...texts].length : 0;
  if (characters > limits.max_question_chars)
    return { count: characters - limits.max_question_chars, unit: "characters" };
  const sent = systemPrompt.isSent ? texts : question;
  if (sent.length * MAX_BYTES_PER_UNIT <= limits.max_body_bytes - MAX_OTHER_BYTES) return null;
  const bytes = new TextEncoder().encode(JSON.stringify(sent)).length + MAX_OTHER_BYTES;
  return bytes > limits.max_body_bytes
    ? { count: bytes - limits.max_body_bytes, unit: "bytes" }
    : null;
}
