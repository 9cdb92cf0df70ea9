/**
 * Headrace's stream client: no framework, no DOM, one dependency (`eventsource-parser`).
 *
 * It runs wherever `fetch` streams: in browsers, Node and workers. `docs/native-stream.md` shows how to
 * read the same streams on other platforms. `./eventsource`, which reads them with the browser's
 * `EventSource`, is a module of its own that this one does not load.
 */

export { ask, follow, newIdempotencyKey, regenerate, stop } from "./client";
export type { AskOptions, ConnectionState, FollowOptions, StreamOptions, Waiting } from "./options";
export { applyEvent } from "./blocks";
export {
  AuthHeaders,
  type HeaderSource,
  type HeaderValues,
  type Unauthorized,
} from "./authHeaders";
export { ApiError, ProtocolError, saysUnreachable } from "./errors";
export { browserReconnectTrigger, type ReconnectTrigger } from "./backoff";
export type * from "./types";
