/**
 * What the server says, as types: `docs/api.md` in TypeScript.
 *
 * Nothing here is checked at run time. The server is ours, its codes are never reworded, and fields
 * that a later version adds do no harm.
 */

/** The first event of every stream, also of one that resumes. */
export interface Start {
  conversation_id: string;
  question_id: string;
  answer_id: string;
  model: string;
}

/** A call that the model wants made; `arguments` is JSON, complete once the answer ended. */
export interface ToolCallBlock {
  type: "tool_call";
  id: string;
  name: string;
  arguments: string;
}

/** What the provider wants back with a block, and nobody else can read. It closes its block. */
export type ProviderData = { dialect: string; model: string; value: unknown };

/** A block that comes whole. A later version may have kinds that are not listed here. */
export interface OtherBlock {
  type: "image" | "file" | "tool_result";
}

/** One part of a message. An answer's blocks grow at the end of the last one only. */
export type Block = (
  { type: "text"; text: string } | { type: "reasoning"; text: string } | ToolCallBlock | OtherBlock
) & { data?: ProviderData };

/** Growth of an answer; `id` and `name` come with a tool call's opening. */
export type Delta =
  | { text: string }
  | { reasoning: string; data?: ProviderData }
  | {
      tool_call: { index: number; id?: string; name?: string; arguments: string };
      data?: ProviderData;
    }
  | { block: Block };

/** The five ways in which an answer ends. */
export type Ending = "complete" | "stopped" | "abandoned" | "failed" | "interrupted";

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  /** The provider gave no figures: these are the server's guess. */
  estimated?: boolean;
  /** The provider's figures up to where the answer was cut. */
  running?: boolean;
  cached_tokens?: number;
  cache_written_tokens?: number;
  reasoning_tokens?: number;
}

/** Milliseconds by the server's clock; the first and the last count from the question. */
export interface Timing {
  first_token_ms: number | null;
  /** From the first reasoning to what came behind it. */
  reasoning_ms: number | null;
  total_ms: number;
}

export interface Failure {
  code: string;
  message: string;
  request_id?: string;
  /** Of a provider's failure: the same question may succeed, after so many seconds if it said. */
  retryable?: boolean;
  retry_after?: number;
}

/** The last event of every stream; one that ends without it was cut off. */
export interface End {
  status: Ending;
  finish_reason: string | null;
  usage: Usage | null;
  timing: Timing | null;
  error?: Failure;
}

/** An event of an answer, in the order in which the server sends them. */
export type AnswerEvent =
  | { type: "start"; data: Start }
  | { type: "delta"; data: Delta }
  /** The server lost what the client had already seen: these blocks replace it all. */
  | { type: "reset"; data: { blocks: Block[] } }
  | { type: "end"; data: End };

/** What can be said of an answer that is wanted; POST /answers/{id}/regenerate takes just this. */
export interface AnswerOptions {
  model?: string;
  system?: string;
  on_disconnect?: "cancel" | "finish" | { grace: number };
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  stop?: string[];
}

/** A question, as POST /chat and POST /conversations/{id}/messages take it. */
export interface Question extends AnswerOptions {
  content: string;
  /** The conversation to go on with; without it a new one is made. */
  conversation_id?: string;
  /**
   * The answer that it goes on from, null for a first question; without it the newest answer.
   * With that of an earlier question this is an edited one, beside it.
   */
  parent_id?: string | null;
}
