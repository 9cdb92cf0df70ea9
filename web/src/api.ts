/** The API's requests that do not stream, as functions; `docs/api.md` describes them. */

import {
  ApiError,
  AuthHeaders,
  type AnswerError,
  type Block,
  type HeaderSource,
  type Schemas,
} from "./stream";

/** A conversation, without what the page has no use for. */
export type Conversation = Pick<
  Schemas["Conversation"],
  "id" | "title" | "model" | "system" | "metadata" | "created_at" | "updated_at"
>;

/**
 * A message, of which the server sends all fields. The parent of an answer is its question, that of
 * a question the answer before it.
 */
export type Message = Required<Omit<Schemas["Message"], "role" | "blocks" | "error">> & {
  role: "user" | "assistant";
  blocks: Block[];
  error: AnswerError | null;
};

/** A model that can be asked. */
export type Model = Schemas["ModelEntry"];

/** What one question may bring: characters, files, and bytes of a file and of the request. */
export type QuestionLimits = Schemas["QuestionLimits"];

/** The user of a request. */
export type Me = Schemas["Me"];

/** A page of a list, and the cursor of the next page; null on the last one. */
export interface Page<T> {
  data: T[];
  next: string | null;
}

/** The code for which the page has a text: the API's, or `unreachable` if the server is not reached. */
export function codeOf(error: unknown): string {
  return error instanceof ApiError && !error.isUnreachable ? error.code : "unreachable";
}

/** Where the API is, and the headers for its requests. */
export interface ApiOptions {
  baseUrl: string;
  headers: HeaderSource;
}

/** The API's requests. */
export type Api = ReturnType<typeof apiClient>;

/** The longest page that the server sends of a list. */
const MAX_PAGE_LENGTH = 200;

/** Returns the API's requests as functions. Each throws ApiError if the server refuses it. */
export function apiClient(options: ApiOptions) {
  async function call<T>(method: string, path: string, init?: RequestInit): Promise<T> {
    const response = await send(options, method, path, init);
    return response.status === 204 ? (undefined as T) : response.json();
  }
  return {
    me: () => call<Me>("GET", "/me"),
    models: () => call<Page<Model>>("GET", "/models"),
    conversations: (after?: string) =>
      call<Page<Conversation>>(
        "GET",
        `/conversations?limit=${MAX_PAGE_LENGTH}${parameter("after", after)}`,
      ),
    conversation: (id: string) => call<Conversation>("GET", `/conversations/${id}`),
    change: (id: string, changes: Partial<Pick<Conversation, "title" | "system" | "metadata">>) =>
      call<Conversation>("PATCH", `/conversations/${id}`, json(changes)),
    messages: (id: string, before?: string) =>
      call<Page<Message>>("GET", `/conversations/${id}/messages?${parameter("before", before)}`),
    file: async (id: string) =>
      (await send(options, "GET", `/files/${encodeURIComponent(id)}`)).blob(),
    /** `keepalive` lets it finish after the page is left, when a delete whose undo is open is sent. */
    remove: (id: string) => call<void>("DELETE", `/conversations/${id}`, { keepalive: true }),
  };
}

/** Send a request. After a 401 it is sent again with other headers, if `headers` has them. */
async function send(
  { baseUrl, headers }: ApiOptions,
  method: string,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const authHeaders = new AuthHeaders(headers);
  for (;;) {
    const authorization = await authHeaders.next();
    const response = await fetch(`${baseUrl}/api/v1${path}`, {
      method,
      cache: "no-store",
      ...init,
      headers: { ...authorization, ...init.headers },
    });
    if (response.ok) return response;
    const error = await ApiError.fromResponse(response);
    if (response.status !== 401) throw error;
    authHeaders.rejected(error, authorization);
  }
}

function json(body: object): RequestInit {
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function parameter(name: string, value: string | undefined): string {
  return value === undefined ? "" : `&${name}=${encodeURIComponent(value)}`;
}
