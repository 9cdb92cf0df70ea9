/** A question with attachments as the API takes it. */

import type { QuestionPart } from "../stream";
import type { Attachment } from "./attachment";

/**
 * The parts of a question: first what it is about, then its text, as providers recommend and as the
 * page shows it. A question may be without text.
 */
export async function questionParts(
  text: string,
  attachments: readonly Attachment[],
): Promise<QuestionPart[]> {
  const parts: QuestionPart[] = await Promise.all(
    attachments.map(async ({ kind, name, content }) => {
      const url = await dataUri(content);
      return kind === "image" ? { type: kind, url } : { type: kind, url, name };
    }),
  );
  return text ? [...parts, { type: "text", text }] : parts;
}

/** The browser encodes in a thread of its own. */
function dataUri(content: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(content);
  });
}
