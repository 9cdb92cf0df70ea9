/** Messages as the page displays them, whether they were loaded or are being generated. */

import { shallowReactive } from "vue";
import type { Message } from "../api";
import type { Attachment } from "../attachments/attachment";
import type { AnswerError, Block, Timing, Usage, Waiting } from "../stream";

/**
 * The API's status, or one that only the page has: `asking` until the server has accepted the
 * question, `refused` if it did not accept it, so that there is no answer.
 */
export type DisplayedStatus = Message["status"] | "asking" | "refused";

/** A block, with its content if that was attached on this page and need not be loaded. */
export type DisplayedBlock = Block & { content?: Blob };

/** A message on the page. Its fields change; a block that did not grow stays the same object. */
export interface DisplayedMessage {
  /** Identifies the message to Vue, also before it has an id. */
  readonly key: string;
  id: string | null;
  /** The id of the message that this one follows. */
  parent: string | null;
  readonly role: Message["role"];
  blocks: readonly DisplayedBlock[];
  model: string | null;
  status: DisplayedStatus;
  finishReason: string | null;
  usage: Usage | null;
  timing: Timing | null;
  error: AnswerError | null;
  /**
   * Why its request is not being carried out, and when it is sent again; of a question that was
   * refused, when it may be asked again. Null if nothing is waited for.
   */
  waiting: Waiting | null;
  /** Milliseconds of reasoning: measured by this tab until `end` brings the server's figure. */
  reasoningMs: number | null;
}

let keyCount = 0;

function displayed(
  role: DisplayedMessage["role"],
  fields: Partial<DisplayedMessage>,
): DisplayedMessage {
  return shallowReactive({
    key: `m${++keyCount}`,
    id: null,
    parent: null,
    role,
    blocks: [],
    model: null,
    status: "complete",
    finishReason: null,
    usage: null,
    timing: null,
    error: null,
    waiting: null,
    reasoningMs: null,
    ...fields,
  });
}

/** A message that was loaded from the server. */
export function fromStored(message: Message): DisplayedMessage {
  return displayed(message.role, {
    id: message.id,
    parent: message.parent_id,
    blocks: message.blocks,
    model: message.model,
    status: message.status,
    finishReason: message.finish_reason,
    usage: message.usage,
    timing: message.timing,
    error: message.error,
    reasoningMs: message.timing?.reasoning_ms ?? null,
  });
}

/** A question that is about to be asked. */
export function newQuestion(
  text: string,
  attachments: readonly Attachment[],
  parent: string | null,
): DisplayedMessage {
  const blocks: DisplayedBlock[] = attachments.map(({ kind, name, content }) =>
    kind === "image" ? { type: kind, content } : { type: kind, name, content },
  );
  if (text) blocks.push({ type: "text", text });
  return displayed("user", { parent, blocks });
}

/** The answer to a question that is being asked. */
export function newAnswer(model: string | null): DisplayedMessage {
  return displayed("assistant", { status: "asking", model });
}

/** Identifies a message also after it was loaded again; by its key only if it was never stored. */
export function identityOf(message: Pick<DisplayedMessage, "id" | "key">): string {
  return message.id ?? message.key;
}

/** The text of a message, without reasoning and tool calls. */
export function textOf(message: DisplayedMessage): string {
  return message.blocks.flatMap((block) => (block.type === "text" ? block.text : [])).join("\n\n");
}
