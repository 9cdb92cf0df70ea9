/**
 * The stream's events and the questions that lead to them, as `docs/api.md` describes them. The types
 * of what is sent and received are generated from the server's OpenAPI document (`apiTypes.ts`);
 * here they get their names, and where the document lists fields of which one is there, unions.
 *
 * Nothing here is checked at run time: the server never renames a field or a code, and fields that a
 * later version adds do no harm.
 */

import type { components } from "./apiTypes";

/** The schemas of the OpenAPI document. */
export type Schemas = components["schemas"];

/** The data of `start`, the first event on every connection. */
export type Start = Schemas["StartEvent"];

/** A tool call that the model asks for. `arguments` is JSON, complete once the answer has ended. */
export type ToolCallBlock = Schemas["ToolCallBlock"];

/** Data that only the provider can read and that goes back to it with the block. It closes the block. */
export type ProviderData = Schemas["ProviderData"];

/** The result of a tool call, in a question. */
export type ToolResultBlock = Schemas["ToolResultBlock"];

/** An image: at `url`, or as the stored file `file_id`, which GET /files/{id} returns. */
export type ImageBlock = Schemas["ImageBlock"];

/** A file, likewise. */
export type FileBlock = Schemas["FileBlock"];

/**
 * A part of a message. Of an answer's blocks only the last one grows. A later server may send types
 * that are not listed here.
 */
export type Block = Schemas["ResetEvent"]["blocks"][number] & { data?: ProviderData | null };

/** Of a delta's fields those that are there together: `Name` always, `More` perhaps. */
type DeltaOf<Name extends keyof Fields, More extends keyof Fields = never> = Required<
  Pick<Fields, Name>
> &
  Pick<Fields, More>;
type Fields = Schemas["DeltaEvent"];

/** What an answer grows by. A tool call has its `id` and `name` in its first delta only. */
export type Delta =
  DeltaOf<"text"> | DeltaOf<"reasoning", "data"> | DeltaOf<"tool_call", "data"> | DeltaOf<"block">;

/** How an answer ended. */
export type EndStatus = Exclude<Schemas["Status"], "live">;

/** Counts of tokens; `estimated` if the provider reported none. */
export type Usage = Schemas["Usage"];

/** Milliseconds by the server's clock. `first_token_ms` and `total_ms` count from the question. */
export type Timing = Schemas["Timing"];

/** Why an answer failed or was interrupted. In a stored message it has no id of a request. */
export type AnswerError = Schemas["Failure"] & Partial<Pick<Schemas["Problem"], "request_id">>;

/** The data of `end`, the last event of every stream; a stream without it was cut off. */
export type End = Omit<Schemas["EndEvent"], "status"> & { status: EndStatus };

/** The events of an answer: one `start`, any number of `delta` and `reset`, one `end`. */
export type AnswerEvent =
  | { type: "start"; data: Start }
  | { type: "delta"; data: Delta }
  /** Replaces all blocks: the server lost text that the client may have received already. */
  | { type: "reset"; data: { blocks: Block[] } }
  | { type: "end"; data: End };

/** Options of the answer to generate; the body of POST /answers/{id}/regenerate. */
export type AnswerOptions = Schemas["Options"];

/** A part of a question. `url` is an https address, or a `data:` URI with the content in base64. */
export type QuestionPart =
  Schemas["TextPart"] | Schemas["ImagePart"] | Schemas["FilePart"] | Schemas["ToolResultPart"];

/** The body of POST /chat and of POST /conversations/{id}/messages. */
export type Question = AnswerOptions &
  Pick<Schemas["Chat"], "conversation_id" | "parent_id"> & { content: string | QuestionPart[] };
