/** What keeps a question with attachments from being sent, so that it can be said before. */

import type { QuestionLimits } from "../api";
import type { Attachment } from "./attachment";

/** Why a question's attachments cannot be sent. */
export type Obstacle =
  /** The model takes no images, or no files. */
  | { reason: "image_not_taken" | "file_not_taken" }
  | { reason: "too_many"; limit: number }
  /** Together they are larger than a request may be; `limit` is in bytes of their content. */
  | { reason: "too_large_together"; limit: number };

/**
 * What is wrong with these attachments for a model that takes `inputKinds`; null if nothing is. What
 * is not known (null) is left to the server, which refuses with a code.
 */
export function obstacleOf(
  attachments: readonly Attachment[],
  inputKinds: readonly string[] | null,
  limits: QuestionLimits | null,
): Obstacle | null {
  for (const kind of ["image", "file"] as const)
    if (attachments.some((each) => each.kind === kind) && inputKinds?.includes(kind) === false)
      return { reason: `${kind}_not_taken` };
  if (limits === null) return null;
  if (attachments.length > limits.max_files) return { reason: "too_many", limit: limits.max_files };
  const room = roomForFiles(limits);
  const length = attachments.reduce((sum, { content }) => sum + base64Length(content.size), 0);
  if (length > room) return { reason: "too_large_together", limit: Math.floor((room / 4) * 3) };
  return null;
}

/** Bytes of a request that are left for files in base64 beside the longest question. */
function roomForFiles(limits: QuestionLimits): number {
  return Math.max(0, limits.max_file_body_bytes - limits.max_body_bytes);
}

function base64Length(bytes: number): number {
  return 4 * Math.ceil(bytes / 3);
}
