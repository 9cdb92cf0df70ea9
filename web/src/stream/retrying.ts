/** How long a request waits before it is sent again, and when it is given up. */

import { Backoff, browserReconnectTrigger, waitForRetry, type ReconnectTrigger } from "./backoff";
import type { ApiError } from "./errors";
import type { StreamOptions, Waiting } from "./options";

/**
 * Milliseconds for which a POST is sent again while the server refuses it as too much for now, or a
 * proxy does not reach the server. After a minute whoever asked is told instead: the minute of a rate
 * limit is over by then, and so is a restart. What lasts longer is nothing to wait for.
 */
const MAX_REFUSED_MS = 60_000;

/** Nothing cuts short the wait for a time that the server named. */
const noTrigger: ReconnectTrigger = () => () => undefined;

/** The waits of one request and of its retries. */
export class Retrying {
  readonly backoff: Backoff;
  readonly #trigger: ReconnectTrigger;
  #refusedSince: number | undefined;

  constructor(
    private readonly options: StreamOptions,
    private readonly onWaiting?: (waiting: Waiting) => void,
  ) {
    this.backoff = new Backoff(options.random);
    this.#trigger = options.reconnectTrigger ?? browserReconnectTrigger;
  }

  /**
   * Waits because the connection was lost, or because the server or a proxy refused the request for
   * now. Throws the refusal if a POST has been refused for too long, or would be. A GET changes nothing
   * and is repeated until its caller leaves: the answer that it reads goes on meanwhile.
   */
  async wait({ method = "GET" }: RequestInit, refusal: ApiError | undefined): Promise<void> {
    const { signal } = this.options;
    signal?.throwIfAborted();
    this.backoff.setMinimum(refusal?.retryAfterMs ?? 0);
    let delayMs = this.backoff.nextDelayMs();
    if (!refusal) {
      this.#refusedSince = undefined;
      this.onWaiting?.({ code: "unreachable", message: "", until: Date.now() + delayMs });
      return await waitForRetry(delayMs, signal, this.#trigger);
    }
    if (method === "POST") {
      this.#refusedSince ??= Date.now();
      const remainingMs = this.#refusedSince + MAX_REFUSED_MS - Date.now();
      if (remainingMs <= 0 || (refusal.retryAfterMs ?? 0) > remainingMs) throw refusal;
      delayMs = Math.min(delayMs, remainingMs);
    }
    const { code, isUnreachable } = refusal;
    const message = isUnreachable ? "" : refusal.message;
    this.onWaiting?.({ code, message, until: Date.now() + delayMs });
    await waitForRetry(delayMs, signal, isUnreachable ? this.#trigger : noTrigger);
  }
}
