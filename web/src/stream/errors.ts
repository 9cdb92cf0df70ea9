/**
 * The errors that the stream client throws.
 *
 * A lost connection is not one of them: the client reconnects by itself. Apart from these two the
 * client throws the reason of the caller's own AbortSignal, and what the caller's functions throw.
 */

/** The server refused the request; `docs/api.md` lists the codes. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    /** Stable, for programs to compare; `http_502` and the like if a proxy answered instead. */
    readonly code: string,
    message: string,
    /** Finds the request in the server's log. */
    readonly requestId: string | null = null,
    /** With `conversation_busy`, the answer that is still being generated. */
    readonly answerId: string | null = null,
    /** Milliseconds after which the request may be sent again; null if the server did not say. */
    readonly retryAfterMs: number | null = null,
  ) {
    super(message);
  }

  /** Whether a proxy answered that it does not reach the server. */
  get isUnreachable(): boolean {
    return saysUnreachable(this.code);
  }

  /** Makes an error of a response, whether or not its body is one of the API's errors. */
  static async fromResponse(response: Response): Promise<ApiError> {
    const found = await response
      .json()
      .then((body) => body?.error)
      .catch(() => undefined);
    // Proxies have errors in JSON, too: Google's `code` is the status.
    const error = typeof found?.code === "string" ? found : undefined;
    return new ApiError(
      response.status,
      error?.code ?? `http_${response.status}`,
      error?.message ?? response.statusText,
      error?.request_id ?? response.headers.get("X-Request-Id"),
      error?.answer_id ?? null,
      retryAfterMs(response),
    );
  }
}

/** Whether the code of an error is a proxy's that does not reach the server. */
export function saysUnreachable(code: string): boolean {
  return code.startsWith("http_") && isGatewayStatus(Number(code.slice("http_".length)));
}

/** Whether proxies answer with a status where they do not reach a server; from 520 on Cloudflare's do. */
export function isGatewayStatus(status: number): boolean {
  return [502, 503, 504, 530].includes(status) || (status >= 520 && status <= 527);
}

/** The response's `Retry-After`, which has seconds or, from some proxies, a date. */
function retryAfterMs(response: Response): number | null {
  const value = response.headers.get("Retry-After");
  if (!value) return null;
  // With more digits there would be no such date.
  const milliseconds = /^\d{1,10}$/.test(value)
    ? 1000 * Number(value)
    : Date.parse(value) - Date.now();
  return Number.isNaN(milliseconds) ? null : Math.max(0, milliseconds);
}

/** What arrived is not a stream of Headrace's: a bug, or a proxy that changes responses. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}
