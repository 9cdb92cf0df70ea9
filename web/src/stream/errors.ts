/**
 * What can go wrong, sorted by what the caller can do next.
 *
 * A lost connection is not among it: the client comes back by itself. What is thrown is for good,
 * or, beside these, the reason of the caller's own AbortSignal.
 */

/** The server refused, in words: a status and one of the codes of `docs/api.md`. */
export class ApiError extends Error {
  override readonly name = "ApiError";

  constructor(
    readonly status: number,
    /** Never reworded; `http_502` and the like where something before the server answered. */
    readonly code: string,
    message: string,
    /** By which a report and the server's log find each other. */
    readonly requestId: string | null = null,
    /** With `conversation_busy`: the answer that is still being written. */
    readonly answerId: string | null = null,
  ) {
    super(message);
  }

  /** The error that a response says, whatever its body is. */
  static async of(response: Response): Promise<ApiError> {
    const said = await response
      .json()
      .then((body) => body?.error)
      .catch(() => undefined);
    return new ApiError(
      response.status,
      said?.code ?? `http_${response.status}`,
      said?.message ?? response.statusText,
      said?.request_id ?? response.headers.get("X-Request-Id"),
      said?.answer_id ?? null,
    );
  }
}

/** What came is not our stream: a bug, or something in between that changes what passes. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}
