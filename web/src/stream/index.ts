/**
 * Headrace's stream client: no framework, no DOM, one dependency (`eventsource-parser`).
 *
 * It runs wherever `fetch` streams: browsers, Node, workers. `docs/clients.md` shows the same for
 * other platforms. For plain `EventSource` there is `./eventsource`, which this does not load.
 */

export {
  ask,
  follow,
  newKey,
  regenerate,
  stop,
  type AskOptions,
  type ConnectionState,
  type FollowOptions,
  type StreamOptions,
} from "./client";
export { take } from "./blocks";
export {
  AuthHeaders,
  type HeaderSource,
  type HeaderValues,
  type Unauthorized,
} from "./authHeaders";
export { ApiError, ProtocolError } from "./errors";
export { browserWakeUps, type WakeUps } from "./waiting";
export type * from "./types";
