/** Turns that the server has not accepted yet, or refused. */

import type { Attachment } from "../attachments/attachment";
import type { DisplayedMessage } from "./displayedMessage";
import type { OutboxEntry } from "./outbox";

/**
 * A question and its answer, or a regenerated answer, that the server has not accepted yet. They are
 * shown after their parent, in place of what may follow it, and are not in the tree.
 */
export interface PendingTurn {
  entry: OutboxEntry;
  attachments: readonly Attachment[];
  messages: readonly DisplayedMessage[];
  /** Aborting it withdraws the question. */
  controller: AbortController;
}

/** The turns by their conversation, of which each has one at most; null is a new conversation. */
export const pendingTurns = new Map<string | null, PendingTurn>();
