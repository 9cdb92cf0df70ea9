/** The options that the stream client's functions take. */

import type { HeaderSource } from "./authHeaders";
import type { ReconnectTrigger } from "./backoff";

/** The state of the connection; `waiting` means that the request will be sent again. */
export type ConnectionState = "connecting" | "open" | "waiting";

/** Why the client is waiting, and until when. */
export interface Waiting {
  /**
   * The code with which the server refused; `http_502` and the like if a proxy did not reach it, and
   * `unreachable` if the connection was lost or not made.
   */
  code: string;
  /** For people, in the server's language; empty if it was not the server that answered. */
  message: string;
  /** When the request is sent again: milliseconds since 1970. A network that is back may be sooner. */
  until: number;
}

export interface StreamOptions {
  /** Aborting it ends everything; its reason is thrown. */
  signal?: AbortSignal;
  /**
   * The server's address if it is not the root of the page's own site: a path (`/chat`), or another
   * origin, which then has to list the page's origin in `cors.allow_origins`.
   */
  baseUrl?: string;
  /** Headers for every request, such as `Authorization`, or a function that returns current ones. */
  headers?: HeaderSource;
  /** Called whenever the state of the connection changes; `waiting` comes with that state only. */
  onConnection?: (state: ConnectionState, waiting?: Waiting) => void;
  /** Replaces the global `fetch`. */
  fetch?: typeof fetch;
  /** Replaces the browser's events that cause an immediate reconnect. */
  reconnectTrigger?: ReconnectTrigger;
  /** Milliseconds without a byte after which a connection counts as dead. Default: 15,000. */
  idleTimeoutMs?: number;
  /** Replaces `Math.random` for the jitter of the delays. */
  random?: () => number;
}

export interface AskOptions extends StreamOptions {
  /** Identifies the question: asking again with the same key does not ask a second time. */
  idempotencyKey?: string;
}

export interface FollowOptions extends StreamOptions {
  /** The id of the last event that was processed; without it the answer is read from its start. */
  lastEventId?: string;
}
