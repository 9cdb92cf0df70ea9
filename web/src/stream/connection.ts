/** One attempt to read: ends when its caller leaves, and when the other side has fallen silent. */

import type { WakeUps } from "./waiting";

/**
 * The server gives a sign of life every four seconds. After three that did not come the connection
 * is taken for dead: a phone that changed its network is told of it by nobody.
 */
export const SILENCE_MS = 15_000;

/** Looks per silence; a dead connection is noticed at most a quarter late. */
const LOOKS = 4;

/** Aborts `signal` on silence, on the caller's abort, and when closed. */
export class Connection {
  readonly #abort = new AbortController();
  readonly #end: () => void;
  #heardAt = Date.now();

  constructor(outer: AbortSignal | undefined, wakeUps: WakeUps, silenceMs: number) {
    const look = (silence: number) => {
      if (Date.now() - this.#heardAt > silence) this.close();
    };
    const looks = setInterval(() => look(silenceMs), silenceMs / LOOKS);
    // Awake again, a machine that slept need not wait out the rest: one beat is overdue.
    const sleep = wakeUps(() => look(silenceMs / 2));
    const leave = () => this.close();
    outer?.addEventListener("abort", leave);
    if (outer?.aborted) this.#abort.abort();
    this.#end = () => {
      clearInterval(looks);
      sleep();
      outer?.removeEventListener("abort", leave);
    };
  }

  /** For `fetch`. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Bytes arrived. */
  heard(): void {
    this.#heardAt = Date.now();
  }

  /** Let go of it. */
  close(): void {
    this.#end();
    this.#abort.abort();
  }
}
