/** Waiting before coming back: longer each time, never in step with others, and not past good news. */

/** Calls `wake` whenever it is worth trying at once. Returns what ends that. */
export type WakeUps = (wake: () => void) => () => void;

/**
 * The browser's good news: the network is back, or somebody looks at the page again. Elsewhere
 * (Node, React Native) there is none to be had; pass your own, made of `AppState` or NetInfo.
 */
export const browserWakeUps: WakeUps = (wake) => {
  if (typeof window === "undefined") return () => undefined;
  const seen = () => {
    if (document.visibilityState === "visible") wake();
  };
  window.addEventListener("online", wake);
  document.addEventListener("visibilitychange", seen);
  return () => {
    window.removeEventListener("online", wake);
    document.removeEventListener("visibilitychange", seen);
  };
};

/** Where the server has not said: as long as it usually says. */
const FIRST_MS = 1000;

/** A phone in a tunnel should not wait longer than this once it is out, wake-up or not. */
const LONGEST_MS = 30_000;

/** How long to wait before the next attempt. */
export class Backoff {
  #first = FIRST_MS;
  #failures = 0;
  #atLeast = 0;

  constructor(private readonly random: () => number = Math.random) {}

  /** The server's `retry:`: from where to begin. */
  beginAt(milliseconds: number): void {
    this.#first = Math.min(milliseconds, LONGEST_MS);
  }

  /** The server's `Retry-After`, for the next wait only. */
  atLeast(milliseconds: number): void {
    this.#atLeast = Math.min(milliseconds, LONGEST_MS);
  }

  /** Something arrived: the next failure is a first one again. */
  worked(): void {
    this.#failures = 0;
  }

  /**
   * Milliseconds until the next attempt: twice as many after each failure, spread from half to one
   * and a half of that, so that the clients of a server that restarts do not all come back at once.
   */
  next(): number {
    const doubled = Math.min(this.#first * 2 ** this.#failures, LONGEST_MS);
    const wait = Math.max(doubled * (0.5 + this.random()), this.#atLeast);
    this.#failures += 1;
    this.#atLeast = 0;
    return wait;
  }
}

/** What `promise` brings, unless `signal` is aborted before; then its reason is thrown. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave);
    if (signal.aborted) leave();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

/** Wait for so long, or until good news. Throws the signal's reason once that is aborted. */
export function wait(
  milliseconds: number,
  signal: AbortSignal | undefined,
  wakeUps: WakeUps,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = () => {
      clearTimeout(timer);
      sleep();
      signal?.removeEventListener("abort", over);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const sleep = wakeUps(over);
    const timer = setTimeout(over, milliseconds);
    signal?.addEventListener("abort", over);
    if (signal?.aborted) over();
  });
}
