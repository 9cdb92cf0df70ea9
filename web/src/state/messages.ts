/** Messages as the page shows them: those that were read, and those that are being written. */

import { shallowReactive } from "vue";
import type { Message } from "../api";
import { take, type AnswerEvent, type Block, type End, type Failure, type Usage } from "../stream";
import { PerFrame } from "./frames";

/** `asking`: on its way. `refused`: the server did not take the question; there is no answer. */
export type Status = Message["status"] | "asking" | "refused";

/** One message on the page. Fields change; a block object that did not grow stays the same. */
export interface Shown {
  /** Stays the same when the message gets its id. */
  readonly key: string;
  id: string | null;
  /** The id of the message that it goes on from. */
  parent: string | null;
  readonly role: Message["role"];
  blocks: readonly Block[];
  model: string | null;
  status: Status;
  finishReason: string | null;
  usage: Usage | null;
  error: Failure | null;
  /** The connection is lost, and being tried again. */
  waiting: boolean;
  /** Milliseconds, of answers that were watched from their beginning. */
  firstToken: number | null;
  reasoning: number | null;
  total: number | null;
}

let keys = 0;

function shown(role: Shown["role"], fields: Partial<Shown>): Shown {
  return shallowReactive({
    key: `m${++keys}`,
    id: null,
    parent: null,
    role,
    blocks: [],
    model: null,
    status: "complete",
    finishReason: null,
    usage: null,
    error: null,
    waiting: false,
    firstToken: null,
    reasoning: null,
    total: null,
    ...fields,
  });
}

/** A message as it is stored. */
export function stored(message: Message): Shown {
  const { ended_at: end } = message;
  return shown(message.role, {
    id: message.id,
    parent: message.parent_id,
    blocks: message.blocks,
    model: message.model,
    status: message.status,
    finishReason: message.finish_reason,
    usage: message.usage,
    error: message.error,
    total: end === null ? null : Date.parse(end) - Date.parse(message.created_at),
  });
}

/** A question that is about to be asked. */
export function question(content: string, parent: string | null): Shown {
  return shown("user", { parent, blocks: [{ type: "text", text: content }] });
}

/** The answer that is waited for. */
export function expected(model: string | null): Shown {
  return shown("assistant", { status: "asking", model });
}

/** By which a message is known here: also when it is read anew, unless it was never stored. */
export function nameOf(message: Shown): string {
  return message.id ?? message.key;
}

/** All of a message's own words. */
export function textOf(message: Shown): string {
  return message.blocks.flatMap((block) => (block.type === "text" ? block.text : [])).join("\n\n");
}

/** Writes an answer's events into its message, once per frame. */
export class Writer {
  readonly #blocks: Block[] = [];
  readonly #frame = new PerFrame(() => this.#draw());
  readonly #askedAt: number;
  #drawn = 0;
  #reasoningSince: number | null = null;

  /** `askedAt` by performance.now(), of a question asked here; without it nothing is timed. */
  constructor(
    private readonly message: Shown,
    askedAt: number | null,
  ) {
    this.#askedAt = askedAt ?? NaN;
  }

  /** Take the next event. An end is drawn at once: it comes once, and perhaps to a hidden page. */
  take(event: AnswerEvent): void {
    take(this.#blocks, event);
    if (event.type === "start") {
      this.message.id = event.data.answer_id;
      this.message.model = event.data.model;
      this.message.status = "live";
    } else if (event.type === "delta") {
      this.#time("reasoning" in event.data);
      this.#frame.ask();
    } else if (event.type === "reset") {
      this.#drawn = 0;
      this.#frame.ask();
    } else {
      this.#frame.now();
      this.#end(event.data);
    }
  }

  #time(reasons: boolean): void {
    const now = performance.now();
    if (Number.isNaN(this.#askedAt)) return;
    this.message.firstToken ??= now - this.#askedAt;
    if (reasons) this.#reasoningSince ??= now;
    else if (this.#reasoningSince !== null) this.message.reasoning ??= now - this.#reasoningSince;
  }

  #end(end: End): void {
    this.message.status = end.status;
    this.message.finishReason = end.finish_reason;
    this.message.usage = end.usage;
    this.message.error = end.error ?? null;
    if (!Number.isNaN(this.#askedAt)) this.message.total = performance.now() - this.#askedAt;
  }

  /** Blocks before the one drawn last cannot have changed; the others are new objects. */
  #draw(): void {
    const kept = this.message.blocks.slice(0, Math.max(0, this.#drawn - 1));
    const grown = this.#blocks.slice(kept.length).map((block) => ({ ...block }));
    this.message.blocks = [...kept, ...grown];
    this.#drawn = this.#blocks.length;
  }
}
