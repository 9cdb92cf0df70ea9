/** How long the client waits before it reconnects, and what cuts that wait short. */

/**
 * Subscribes `reconnect` to whatever makes an immediate attempt worthwhile, such as a network that
 * is back. Returns a function that unsubscribes it.
 */
export type ReconnectTrigger = (reconnect: () => void) => () => void;

/**
 * Fires when the browser is online again and when the page becomes visible. Node and React Native
 * have neither event, so nothing fires there: pass your own trigger, made of `AppState` or NetInfo.
 */
export const browserReconnectTrigger: ReconnectTrigger = (reconnect) => {
  if (typeof window === "undefined") return () => undefined;
  const onVisibilityChange = () => {
    if (document.visibilityState === "visible") reconnect();
  };
  window.addEventListener("online", reconnect);
  document.addEventListener("visibilitychange", onVisibilityChange);
  return () => {
    window.removeEventListener("online", reconnect);
    document.removeEventListener("visibilitychange", onVisibilityChange);
  };
};

/** The first delay if the server has not sent `retry:`. It is also what the server usually sends. */
const DEFAULT_BASE_MS = 1000;

/** A phone that leaves a tunnel should reconnect within this time even if no trigger fires. */
const MAX_DELAY_MS = 30_000;

/** A reader that is told to come back much later looks again after a minute: things may be better. */
const MAX_MINIMUM_MS = 60_000;

/** Exponential backoff with jitter. */
export class Backoff {
  #baseMs = DEFAULT_BASE_MS;
  #minimumMs = 0;
  #failures = 0;

  constructor(private readonly random: () => number = Math.random) {}

  /** Sets the first delay, which the server sends as `retry:`. */
  setBase(milliseconds: number): void {
    this.#baseMs = Math.min(milliseconds, MAX_DELAY_MS);
  }

  /** Sets a lower bound for the next delay only, which the server sends as `Retry-After`. */
  setMinimum(milliseconds: number): void {
    this.#minimumMs = Math.min(milliseconds, MAX_MINIMUM_MS);
  }

  /** Starts from the first delay again, because an event has arrived. */
  reset(): void {
    this.#failures = 0;
  }

  /**
   * Counts a failure and returns the milliseconds until the next attempt. The delay doubles with
   * each failure and is spread from 50 to 150 %, so that the clients of a server that restarts do
   * not all reconnect at once.
   */
  nextDelayMs(): number {
    const doubled = Math.min(this.#baseMs * 2 ** this.#failures, MAX_DELAY_MS);
    const delay = Math.max(doubled * (0.5 + this.random()), this.#minimumMs);
    this.#failures += 1;
    this.#minimumMs = 0;
    return delay;
  }
}

/** Waits for `milliseconds` or until `trigger` fires. Throws the signal's reason if it is aborted. */
export function waitForRetry(
  milliseconds: number,
  signal: AbortSignal | undefined,
  trigger: ReconnectTrigger,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      unsubscribe();
      signal?.removeEventListener("abort", finish);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const unsubscribe = trigger(finish);
    const timer = setTimeout(finish, milliseconds);
    signal?.addEventListener("abort", finish);
    if (signal?.aborted) finish();
  });
}
