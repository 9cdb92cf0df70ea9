/** The API's plain requests, those that stream nothing: `docs/api.md` as functions. */

import { ApiError, type Block, type Ending, type Failure, type Usage } from "./stream";

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
  status: "live" | Ending;
  finish_reason: string | null;
  usage: Usage | null;
  error: Failure | null;
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

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  const response = await fetch(`/api/v1${path}`, {
    method,
    cache: "no-store",
    ...(body && {
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    }),
  });
  if (!response.ok) throw await ApiError.of(response);
  return response.status === 204 ? (undefined as T) : response.json();
}

/** The most that the server lists at once. */
const LIMIT = 200;

export const api = {
  models: () => call<Page<Model>>("GET", "/models"),
  conversations: (after?: string) =>
    call<Page<Conversation>>("GET", `/conversations?limit=${LIMIT}${parameter("after", after)}`),
  conversation: (id: string) => call<Conversation>("GET", `/conversations/${id}`),
  change: (id: string, changes: Partial<Pick<Conversation, "title" | "system">>) =>
    call<Conversation>("PATCH", `/conversations/${id}`, changes),
  messages: (id: string, before?: string) =>
    call<Page<Message>>("GET", `/conversations/${id}/messages?${parameter("before", before)}`),
  /** Outlives the page: a delete that waits for its undo is carried out when the page is left. */
  remove: async (id: string): Promise<void> => {
    await fetch(`/api/v1/conversations/${id}`, { method: "DELETE", keepalive: true });
  },
};

function parameter(name: string, value: string | undefined): string {
  return value === undefined ? "" : `&${name}=${encodeURIComponent(value)}`;
}
