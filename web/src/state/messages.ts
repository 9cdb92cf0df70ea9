/** Messages as the page shows them: those that were read, and those that are being written. */

import { shallowReactive } from "vue";
import type { Message } from "../api";
import {
  applyEvent,
  type AnswerEvent,
  type Block,
  type End,
  type AnswerError,
  type Timing,
  type Usage,
} from "../stream";
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
  timing: Timing | null;
  error: AnswerError | null;
  /** The connection is lost, and being tried again. */
  waiting: boolean;
  /** Milliseconds of reasoning: by the clock of this tab until the end brings the server's. */
  reasoning: number | null;
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
    timing: null,
    error: null,
    waiting: false,
    reasoning: null,
    ...fields,
  });
}

/** A message as it is stored. */
export function stored(message: Message): Shown {
  return shown(message.role, {
    id: message.id,
    parent: message.parent_id,
    blocks: message.blocks,
    model: message.model,
    status: message.status,
    finishReason: message.finish_reason,
    usage: message.usage,
    timing: message.timing,
    error: message.error,
    reasoning: message.timing?.reasoning_ms ?? null,
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
  #drawn = 0;
  #reasoningSince: number | null = null;

  /** `watched` from its beginning: what is read later comes faster than it was thought. */
  constructor(
    private readonly message: Shown,
    private readonly watched: boolean,
  ) {}

  /** Take the next event. An end is drawn at once: it comes once, and perhaps to a hidden page. */
  take(event: AnswerEvent): void {
    applyEvent(this.#blocks, event);
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
    if (!this.watched) return;
    if (reasons) this.#reasoningSince ??= performance.now();
    else if (this.#reasoningSince !== null)
      this.message.reasoning ??= performance.now() - this.#reasoningSince;
  }

  #end(end: End): void {
    this.message.status = end.status;
    this.message.finishReason = end.finish_reason;
    this.message.usage = end.usage;
    this.message.timing = end.timing;
    this.message.reasoning = end.timing?.reasoning_ms ?? null;
    this.message.error = end.error ?? null;
  }

  /** Blocks before the one drawn last cannot have changed; the others are new objects. */
  #draw(): void {
    const kept = this.message.blocks.slice(0, Math.max(0, this.#drawn - 1));
    const grown = this.#blocks.slice(kept.length).map((block) => ({ ...block }));
    this.message.blocks = [...kept, ...grown];
    this.#drawn = this.#blocks.length;
  }
}
