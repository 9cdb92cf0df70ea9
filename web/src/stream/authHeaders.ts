/**
 * The headers that authenticate a request, and what happens after a 401: a key or a token may be
 * replaced while an answer is being read.
 */

import type { ApiError } from "./errors";

export type HeaderValues = Record<string, string>;

/** A 401 response, and the headers that the server rejected with it. */
export interface Unauthorized {
  error: ApiError;
  headers: HeaderValues;
}

/**
 * Fixed headers, or a function that returns them.
 *
 * The function is called for each request, so that a token may be renewed at any time. After a 401
 * it is called with what was rejected, and the request is sent again with the headers it returns; it
 * may be async, and what it throws ends the stream. If it returns the rejected headers again, it has
 * no others, and the 401 is thrown.
 */
export type HeaderSource =
  HeaderValues | ((rejected?: Unauthorized) => HeaderValues | Promise<HeaderValues>);

/** The headers for one request and for its retries. */
export class AuthHeaders {
  #lastRejection: Unauthorized | undefined;
  #rejections = 0;

  constructor(
    private readonly source: HeaderSource = {},
    private readonly signal?: AbortSignal,
  ) {}

  /** Returns the headers for the next attempt. Throws the last 401 if there are no others to try. */
  async next(): Promise<HeaderValues> {
    const rejection = this.#lastRejection;
    this.#lastRejection = undefined;
    const { source } = this;
    const headers =
      typeof source === "function"
        ? await abortable(Promise.resolve(source(rejection)), this.signal)
        : source;
    if (rejection && JSON.stringify(headers) === JSON.stringify(rejection.headers))
      throw rejection.error;
    return headers;
  }

  /**
   * Records a 401. Returns true if the request may be sent again without a delay, which is so for
   * the first 401 in a row only: a source whose tokens are all rejected must not retry in a loop.
   */
  rejected(error: ApiError, headers: HeaderValues): boolean {
    this.#lastRejection = { error, headers };
    this.#rejections += 1;
    return this.#rejections === 1;
  }

  /** Records that the server accepted the headers. */
  accepted(): void {
    this.#rejections = 0;
  }
}

/** Resolves like `promise`, or throws the signal's reason as soon as the signal is aborted. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
