/**
 * Asking, and reading an answer to its end, whatever the network does meanwhile.
 *
 *     for await (const event of ask({ content: "你好" }, { signal })) {
 *       take(blocks, event);
 *     }
 *
 * The loop ends behind the `end` event. Leaving it early, or aborting `signal`, closes the
 * connection, and with that, by the question's `on_disconnect`, may stop the upstream call; to stop
 * an answer for certain and for every reader, call `stop`.
 *
 * Promises, each with a test:
 *
 * - A question, or one more answer to it, is asked for once. Its POST carries an `Idempotency-Key`,
 *   and is sent again, with the same key and body, only until its `start` has arrived; from then on
 *   the answer has a name and is read by it. No event of the page (a tab that becomes visible, a
 *   network that comes back) sends a POST that was not already on its way.
 * - Nothing is lost and nothing is said twice: each connection goes on behind the last event's id.
 * - It comes back for as long as the caller does not leave: with growing, jittered waits, at once
 *   on good news, and from connections that only look alive.
 * - A 401 ends nothing where `headers` is a function that has others to give: it goes on with those,
 *   a question with its key, an answer behind its last event.
 */

import { Connection, SILENCE_MS } from "./connection";
import { AuthHeaders, type HeaderSource, type HeaderValues } from "./authHeaders";
import { ApiError } from "./errors";
import { read } from "./reading";
import type { AnswerEvent, AnswerOptions, Question } from "./types";
import { Backoff, browserWakeUps, wait, type WakeUps } from "./waiting";

/** Where the connection stands: `waiting` means it was lost and will be tried again. */
export type ConnectionState = "connecting" | "open" | "waiting";

export interface StreamOptions {
  /** Ends it all; its reason is thrown. */
  signal?: AbortSignal;
  /**
   * Where the server is, if not at the root of the page's own site: below a path (`/chat`), or at another
   * origin, which has to name the page's in `cors.allow_origins`.
   */
  baseUrl?: string;
  /** What every request carries besides, such as `Authorization`; as a function, whatever is good now. */
  headers?: HeaderSource;
  /** Told of every change. */
  onConnection?: (state: ConnectionState) => void;
  /** In place of the global one. */
  fetch?: typeof fetch;
  wakeUps?: WakeUps;
  /** After so long without a byte a connection counts as dead. */
  silenceMs?: number;
  /** Between 0 and 1, for the waits. */
  random?: () => number;
}

export interface AskOptions extends StreamOptions {
  /** Names this question, so that asking again with it is not a second question. */
  key?: string;
}

export interface FollowOptions extends StreamOptions {
  /** The id of the last event that was taken; without it the answer is read from its start. */
  lastEventId?: string;
}

/** Ask, and read the answer. Throws ApiError where the server refuses for good. */
export function ask(question: Question, options: AskOptions = {}): AsyncGenerator<AnswerEvent> {
  return lasting(options, undefined, undefined, posting("/api/v1/chat", question, options.key));
}

/**
 * Have the question of an answer answered once more, and read that. It stands beside the one there
 * was; it is asked for once, and read through, as a question's own is.
 */
export function regenerate(
  answerId: string,
  wanted: AnswerOptions = {},
  options: AskOptions = {},
): AsyncGenerator<AnswerEvent> {
  const path = `/api/v1/answers/${answerId}/regenerate`;
  return lasting(options, undefined, undefined, posting(path, wanted, options.key));
}

/** Read an answer that was asked for before, here or elsewhere, live or ended. */
export function follow(answerId: string, options: FollowOptions = {}): AsyncGenerator<AnswerEvent> {
  return lasting(options, answerId, options.lastEventId, undefined);
}

/** End a live answer, for all its readers; their streams bring `end`. */
export async function stop(answerId: string, options: StreamOptions = {}): Promise<void> {
  const backoff = new Backoff(options.random);
  const authHeaders = new AuthHeaders(options.headers, options.signal);
  const path = `/api/v1/answers/${answerId}/stop`;
  for (;;) {
    const headers = await authHeaders.headers();
    // Stopping what has ended changes nothing, so that this may be sent any number of times.
    const response = await attempt(options, headers, options.signal, path, { method: "POST" });
    if (response?.ok) return;
    if (response?.status === 401) {
      if (authHeaders.refused(await ApiError.of(response), headers)) continue;
    } else if (response && !isForNow(response)) {
      throw await ApiError.of(response);
    }
    await wait(backoff.next(), options.signal, options.wakeUps ?? browserWakeUps);
  }
}

/** A name for a question: 128 random bits, also where a page has no secure context. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

interface Opening {
  path: string;
  init: RequestInit;
}

/** The loop behind all: one connection after the other, until `end`. */
async function* lasting(
  options: StreamOptions,
  answerId: string | undefined,
  lastEventId: string | undefined,
  asking: Opening | undefined,
): AsyncGenerator<AnswerEvent> {
  const wakeUps = options.wakeUps ?? browserWakeUps;
  const backoff = new Backoff(options.random);
  const authHeaders = new AuthHeaders(options.headers, options.signal);
  let started = false;
  for (;;) {
    options.signal?.throwIfAborted();
    // Ahead of the connection, whose silence is measured: somebody may be looking for a key.
    const headers = await authHeaders.headers();
    options.onConnection?.("connecting");
    const { path, init } =
      answerId === undefined && asking ? asking : coming(answerId ?? "", lastEventId);
    const connection = new Connection(options.signal, wakeUps, options.silenceMs ?? SILENCE_MS);
    let atOnce = false;
    try {
      const response = await attempt(options, headers, connection.signal, path, init);
      if (response?.ok) authHeaders.accepted();
      if (response?.status === 204) return; // it had been read to its end
      if (response?.status === 401)
        atOnce = authHeaders.refused(await ApiError.of(response), headers);
      else if (response && !response.ok && !isForNow(response)) throw await ApiError.of(response);
      if (response && !response.ok) backoff.atLeast(retryAfter(response));
      if (response?.ok && response.body && isEventStream(response)) {
        options.onConnection?.("open");
        const ears = {
          heard: () => connection.heard(),
          retry: (milliseconds: number) => backoff.beginAt(milliseconds),
        };
        try {
          for await (const { event, id } of read(response.body, ears)) {
            backoff.worked();
            lastEventId = id ?? lastEventId;
            if (event.type === "start") {
              answerId = event.data.answer_id;
              if (started) continue; // each connection says it; the caller has heard it
              started = true;
            }
            yield event;
            if (event.type === "end") return;
          }
        } catch (error) {
          if (!isLost(error, connection)) throw error;
        }
      }
    } finally {
      connection.close();
    }
    if (atOnce) continue;
    options.signal?.throwIfAborted();
    options.onConnection?.("waiting");
    await wait(backoff.next(), options.signal, wakeUps);
  }
}

function posting(path: string, body: object, key: string = newKey()): Opening {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  return { path, init: { method: "POST", headers, body: JSON.stringify(body) } };
}

function coming(answerId: string, lastEventId: string | undefined): Opening {
  const headers: Record<string, string> = lastEventId ? { "Last-Event-ID": lastEventId } : {};
  return { path: `/api/v1/answers/${answerId}/events`, init: { headers } };
}

/** The response's head, or undefined if there was no connection to be had. */
async function attempt(
  options: StreamOptions,
  headers: HeaderValues,
  signal: AbortSignal | undefined,
  path: string,
  init: RequestInit,
): Promise<Response | undefined> {
  try {
    return await (options.fetch ?? fetch)(`${options.baseUrl ?? ""}${path}`, {
      ...init,
      headers: { Accept: "text/event-stream", ...headers, ...init.headers },
      cache: "no-store",
      ...(signal && { signal }),
    });
  } catch {
    options.signal?.throwIfAborted();
    return undefined;
  }
}

/** What passes: too many requests, a server that restarts, a proxy that has none behind it. */
function isForNow(response: Response): boolean {
  return [429, 502, 503, 504].includes(response.status);
}

/** A hotel's login page answers everything with 200 and HTML: that is no connection either. */
function isEventStream(response: Response): boolean {
  return (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
}

/** Milliseconds that the server asks for; it says seconds. */
function retryAfter(response: Response): number {
  return 1000 * (Number(response.headers.get("Retry-After")) || 0);
}

/** Whether reading ended because the connection broke, and not by a bug of anybody's. */
function isLost(error: unknown, connection: Connection): boolean {
  return connection.signal.aborted || error instanceof TypeError;
}
