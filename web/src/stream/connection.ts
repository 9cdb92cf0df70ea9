/** One connection to the server: aborted when its caller leaves and when no bytes arrive any more. */

import type { ReconnectTrigger } from "./backoff";

/**
 * Milliseconds without a byte after which a connection counts as dead. The server sends at
 * least a heartbeat every `relay.heartbeat_seconds`, by default four: then three of them are missing.
 * A server with a longer interval needs a longer timeout in the page. Nothing else reports a dead
 * connection: a phone that changes its network gets no word that its old connections are gone.
 */
export const IDLE_TIMEOUT_MS = 15_000;

/** A dead connection is noticed late by at most a quarter of the timeout. */
const CHECKS_PER_TIMEOUT = 4;

/**
 * Bytes of a request that arrive in a millisecond at least: 256 kbit/s, as on a slow phone. The server
 * answers nothing until it has all of them, and a question with photographs has megabytes.
 */
const MIN_UPLOAD_BYTES_PER_MS = 32;

/** Owns the abort signal of one connection, and aborts it after an idle timeout. */
export class Connection {
  readonly #controller = new AbortController();
  readonly #dispose: () => void;
  /** In the future while the request may still be on its way. */
  #lastBytesAt: number;

  /**
   * `caller` is the caller's own signal; aborting it closes the connection. The idle timeout begins
   * when `uploadBytes` can have arrived.
   */
  constructor(
    caller: AbortSignal | undefined,
    trigger: ReconnectTrigger,
    idleTimeoutMs: number,
    uploadBytes: number,
  ) {
    this.#lastBytesAt = Date.now() + uploadBytes / MIN_UPLOAD_BYTES_PER_MS;
    const closeIfIdle = (milliseconds: number) => {
      if (Date.now() - this.#lastBytesAt > milliseconds) this.close();
    };
    const timer = setInterval(() => closeIfIdle(idleTimeoutMs), idleTimeoutMs / CHECKS_PER_TIMEOUT);
    // After the device slept, half of the timeout is enough: at least one heartbeat is overdue.
    const unsubscribe = trigger(() => closeIfIdle(idleTimeoutMs / 2));
    const close = () => this.close();
    caller?.addEventListener("abort", close);
    if (caller?.aborted) this.#controller.abort();
    this.#dispose = () => {
      clearInterval(timer);
      unsubscribe();
      caller?.removeEventListener("abort", close);
    };
  }

  /** The signal to pass to `fetch`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Restarts the idle timeout, because bytes have arrived. */
  bytesReceived(): void {
    this.#lastBytesAt = Date.now();
  }

  /** Aborts the request and stops the idle timeout. */
  close(): void {
    this.#dispose();
    this.#controller.abort();
  }
}
