/** Writes an answer's events into the message that the page displays, once per frame. */

import { applyEvent, type AnswerEvent, type Block, type End } from "../stream";
import type { DisplayedMessage } from "./displayedMessage";
import { FrameThrottle } from "./frameThrottle";

export class AnswerWriter {
  readonly #blocks: Block[] = [];
  readonly #throttle = new FrameThrottle(() => this.#draw());
  #drawnCount = 0;
  #reasoningSince: number | null = null;

  /**
   * `measuresReasoning` only for an answer that is read from its beginning as it is generated: what
   * is read later arrives faster than the model produced it.
   */
  constructor(
    private readonly message: DisplayedMessage,
    private readonly measuresReasoning: boolean,
  ) {}

  /** Apply the next event. `end` is drawn at once, because the page may be hidden. */
  write(event: AnswerEvent): void {
    applyEvent(this.#blocks, event);
    if (event.type === "start") {
      this.message.id = event.data.answer_id;
      this.message.model = event.data.model;
      this.message.status = "live";
    } else if (event.type === "delta") {
      this.#measureReasoning("reasoning" in event.data);
      this.#throttle.request();
    } else if (event.type === "reset") {
      this.#drawnCount = 0;
      this.#throttle.request();
    } else {
      this.#throttle.flush();
      this.#end(event.data);
    }
  }

  #measureReasoning(isReasoning: boolean): void {
    if (!this.measuresReasoning) return;
    if (isReasoning) this.#reasoningSince ??= performance.now();
    else if (this.#reasoningSince !== null)
      this.message.reasoningMs ??= performance.now() - this.#reasoningSince;
  }

  #end(end: End): void {
    this.message.status = end.status;
    this.message.finishReason = end.finish_reason;
    this.message.usage = end.usage;
    this.message.timing = end.timing;
    this.message.reasoningMs = end.timing?.reasoning_ms ?? null;
    this.message.error = end.error ?? null;
  }

  /** Keeps the blocks before the one drawn last, which cannot have changed, and copies the others. */
  #draw(): void {
    const unchanged = this.message.blocks.slice(0, Math.max(0, this.#drawnCount - 1));
    const changed = this.#blocks.slice(unchanged.length).map((block) => ({ ...block }));
    this.message.blocks = [...unchanged, ...changed];
    this.#drawnCount = this.#blocks.length;
  }
}
