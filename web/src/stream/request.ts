/** The stream client's requests: how each is made and sent, and whether a refusal may be retried. */

import type { HeaderValues } from "./authHeaders";
import { isGatewayStatus } from "./errors";
import type { StreamOptions } from "./options";

export interface ApiRequest {
  path: string;
  init: RequestInit;
}

/** A POST that asks for an answer. Sending it again under the same key does not ask again. */
export function askRequest(path: string, body: object, idempotencyKey: string): ApiRequest {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
  return { path, init: { method: "POST", headers, body: JSON.stringify(body) } };
}

/** A GET that reads an answer's events after `lastEventId`, or from the start without one. */
export function eventsRequest(answerId: string, lastEventId: string | undefined): ApiRequest {
  const headers: Record<string, string> = lastEventId ? { "Last-Event-ID": lastEventId } : {};
  return { path: `/api/v1/answers/${answerId}/events`, init: { headers } };
}

/** Returns the response, whose body may still be arriving; undefined if the server is unreachable. */
export async function send(
  options: StreamOptions,
  headers: HeaderValues,
  signal: AbortSignal | undefined,
  { path, init }: ApiRequest,
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

/** Whether a refusal may pass: a rate limit, a server that restarts, a proxy without a backend. */
export function isTemporary(response: Response): boolean {
  return response.status === 429 || isGatewayStatus(response.status);
}

/** Whether the body is an event stream, and not a captive portal's login page sent with a 200. */
export function isEventStream(response: Response): boolean {
  return (response.headers.get("Content-Type") ?? "").startsWith("text/event-stream");
}
