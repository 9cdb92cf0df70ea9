/**
 * The stream's events and the questions that lead to them, as `docs/api.md` describes them.
 *
 * Nothing here is checked at run time: the server never renames a field or a code, and fields that a
 * later version adds do no harm.
 */

/** The data of `start`, the first event on every connection. */
export interface Start {
  conversation_id: string;
  question_id: string;
  answer_id: string;
  model: string;
}

/** A tool call that the model asks for. `arguments` is JSON, complete once the answer has ended. */
export interface ToolCallBlock {
  type: "tool_call";
  id: string;
  name: string;
  arguments: string;
}

/** Data that only the provider can read and that goes back to it with the block. It closes the block. */
export type ProviderData = { dialect: string; model: string; value: unknown };

/** The result of a tool call, in a question. */
export interface ToolResultBlock {
  type: "tool_result";
  id: string;
  text: string;
  is_error?: boolean;
}

/** An image: at `url`, or as the stored file `file_id`, which GET /files/{id} returns. */
export interface ImageBlock {
  type: "image";
  url?: string | null;
  file_id?: string | null;
  media_type?: string | null;
  /** Bytes of the stored file. */
  size?: number | null;
}

/** A file, likewise. */
export interface FileBlock extends Omit<ImageBlock, "type"> {
  type: "file";
  name?: string | null;
}

/**
 * A part of a message. Of an answer's blocks only the last one grows. A later server may send types
 * that are not listed here.
 */
export type Block = (
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string }
  | ToolCallBlock
  | ToolResultBlock
  | ImageBlock
  | FileBlock
) & { data?: ProviderData };

/** What an answer grows by. A tool call has its `id` and `name` in its first delta only. */
export type Delta =
  | { text: string }
  | { reasoning: string; data?: ProviderData }
  | {
      tool_call: { index: number; id?: string; name?: string; arguments: string };
      data?: ProviderData;
    }
  | { block: Block };

/** How an answer ended. */
export type EndStatus = "complete" | "stopped" | "abandoned" | "failed" | "interrupted";

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  /** True if the provider reported no usage, so that the server estimated it. */
  estimated?: boolean;
  /** True if the answer was cut off and these are the provider's counts until then. */
  running?: boolean;
  cached_tokens?: number;
  cache_written_tokens?: number;
  reasoning_tokens?: number;
}

/** Milliseconds by the server's clock. `first_token_ms` and `total_ms` count from the question. */
export interface Timing {
  first_token_ms: number | null;
  /** From the first reasoning delta to the first delta after the reasoning. */
  reasoning_ms: number | null;
  total_ms: number;
}

/** Why an answer failed or was interrupted. */
export interface AnswerError {
  code: string;
  message: string;
  request_id?: string;
  /** The provider's own code or word for it, if it sent one. */
  provider_code?: string;
  /** Whether the same question may succeed later, if a provider caused the error. */
  retryable?: boolean;
  /** Seconds that the provider asked to wait. */
  retry_after?: number;
}

/** The data of `end`, the last event of every stream; a stream without it was cut off. */
export interface End {
  status: EndStatus;
  finish_reason: string | null;
  usage: Usage | null;
  timing: Timing | null;
  error?: AnswerError;
}

/** The events of an answer: one `start`, any number of `delta` and `reset`, one `end`. */
export type AnswerEvent =
  | { type: "start"; data: Start }
  | { type: "delta"; data: Delta }
  /** Replaces all blocks: the server lost text that the client may have received already. */
  | { type: "reset"; data: { blocks: Block[] } }
  | { type: "end"; data: End };

/** Options of the answer to generate; the body of POST /answers/{id}/regenerate. */
export interface AnswerOptions {
  model?: string;
  system?: string;
  on_disconnect?: "cancel" | "finish" | { grace: number };
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  reasoning_effort?: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max";
  stop?: string[];
}

/** A part of a question. `url` is an https address, or a `data:` URI with the content in base64. */
export type QuestionPart =
  | { type: "text"; text: string }
  | { type: "image"; url: string }
  | { type: "file"; url: string; name?: string }
  | ToolResultBlock;

/** The body of POST /chat and of POST /conversations/{id}/messages. */
export interface Question extends AnswerOptions {
  content: string | QuestionPart[];
  /** The conversation to ask in; without it a new one is created. */
  conversation_id?: string;
  /**
   * The answer that the question follows: null for a first question, the newest answer by default.
   * The parent of an earlier question makes this one an edited version of it, on a branch of its own.
   */
  parent_id?: string | null;
}
