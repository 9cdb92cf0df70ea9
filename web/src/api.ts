/** The API's plain requests, those that stream nothing: `docs/api.md` as functions. */

import { base } from "./base";
import { headers } from "./state/session";
import {
  ApiError,
  AuthHeaders,
  type Block,
  type EndStatus,
  type AnswerError,
  type Timing,
  type Usage,
} from "./stream";

export interface Conversation {
  id: string;
  title: string | null;
  model: string | null;
  system: string | null;
  created_at: string;
  updated_at: string;
}

export interface Message {
  id: string;
  conversation_id: string;
  /** Of an answer its question, of a question the answer it goes on from; null of a first one. */
  parent_id: string | null;
  role: "user" | "assistant";
  blocks: Block[];
  model: string | null;
  status: "live" | EndStatus;
  finish_reason: string | null;
  usage: Usage | null;
  timing: Timing | null;
  error: AnswerError | null;
  created_at: string;
  ended_at: string | null;
}

export interface Model {
  id: string;
  default: boolean;
}

/** A part of a list, and where the next part begins. */
export interface Page<T> {
  data: T[];
  next: string | null;
}

/** Answered 401 it waits until somebody has signed in, and is sent again. */
async function call<T>(method: string, path: string, more: RequestInit = {}): Promise<T> {
  const authHeaders = new AuthHeaders(headers);
  for (;;) {
    const entry = await authHeaders.next();
    const response = await fetch(`${base}/api/v1${path}`, {
      method,
      cache: "no-store",
      ...more,
      headers: { ...entry, ...more.headers },
    });
    if (response.ok) return response.status === 204 ? (undefined as T) : response.json();
    const error = await ApiError.fromResponse(response);
    if (response.status !== 401) throw error;
    authHeaders.rejected(error, entry);
  }
}

function json(body: object): RequestInit {
  return { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

/** By which the page has words for it: a code of the API's, or that nobody answered. */
export function codeOf(error: unknown): string {
  return error instanceof ApiError ? error.code : "unreachable";
}

/** The most that the server lists at once. */
const LIMIT = 200;

export const api = {
  models: () => call<Page<Model>>("GET", "/models"),
  conversations: (after?: string) =>
    call<Page<Conversation>>("GET", `/conversations?limit=${LIMIT}${parameter("after", after)}`),
  conversation: (id: string) => call<Conversation>("GET", `/conversations/${id}`),
  change: (id: string, changes: Partial<Pick<Conversation, "title" | "system">>) =>
    call<Conversation>("PATCH", `/conversations/${id}`, json(changes)),
  messages: (id: string, before?: string) =>
    call<Page<Message>>("GET", `/conversations/${id}/messages?${parameter("before", before)}`),
  /** Outlives the page: a delete that waits for its undo is carried out when the page is left. */
  remove: (id: string) => call<void>("DELETE", `/conversations/${id}`, { keepalive: true }),
};

function parameter(name: string, value: string | undefined): string {
  return value === undefined ? "" : `&${name}=${encodeURIComponent(value)}`;
}
