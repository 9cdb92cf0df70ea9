/**
 * What requests carry to be let in, and what becomes of a 401: a key or a token may change while an
 * answer is being read.
 */

import type { ApiError } from "./errors";
import { abortable } from "./waiting";

export type HeaderValues = Record<string, string>;

/** A 401, and the headers that were not good enough. */
export interface Unauthorized {
  error: ApiError;
  headers: HeaderValues;
}

/**
 * Headers, or what gives them: it is asked anew for each request, so that a token may be renewed at
 * any time. After a 401 it is told of that, and the request is sent again with what it gives then; it
 * may take its time, or throw. Giving the same headers once more means that there are no others: the
 * 401 is thrown.
 */
export type HeaderSource =
  HeaderValues | ((refused?: Unauthorized) => HeaderValues | Promise<HeaderValues>);

/** The headers of one request, and of the same one sent again. */
export class AuthHeaders {
  #refused: Unauthorized | undefined;
  #tries = 0;

  constructor(
    private readonly source: HeaderSource = {},
    private readonly signal?: AbortSignal,
  ) {}

  /** For the next try. Throws the 401 of the last one if there is nothing else to try. */
  async headers(): Promise<HeaderValues> {
    const refused = this.#refused;
    this.#refused = undefined;
    const { source } = this;
    const headers =
      typeof source === "function"
        ? await abortable(Promise.resolve(source(refused)), this.signal)
        : source;
    if (refused && JSON.stringify(headers) === JSON.stringify(refused.headers)) throw refused.error;
    return headers;
  }

  /**
   * With these headers it was 401. Returns whether to try again at once: once is enough, or a source
   * of tokens that are all refused would ask without a pause.
   */
  refused(error: ApiError, headers: HeaderValues): boolean {
    this.#refused = { error, headers };
    this.#tries += 1;
    return this.#tries === 1;
  }

  /** They were good. */
  accepted(): void {
    this.#tries = 0;
  }
}
