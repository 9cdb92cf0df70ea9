/**
 * The parameters of a conversation's answers, which the API keeps in the conversation's metadata as
 * one entry: JSON with the names that a question has for them.
 */

import type { Conversation, Model } from "../api";
import type { AnswerOptions } from "../stream";

export const REASONING_EFFORTS = [
  "none",
  "minimal",
  "low",
  "medium",
  "high",
  "xhigh",
  "max",
] as const;

/** What of the options of a question people set here. One that is absent is up to the provider. */
export type Parameters = Pick<
  AnswerOptions,
  "temperature" | "top_p" | "max_tokens" | "reasoning_effort"
>;

/** The parameters that are numbers, with the values that the API takes and the step of a field. */
export const NUMBERS = [
  { name: "temperature", min: 0, max: 2, step: 0.01 },
  { name: "top_p", min: 0.01, max: 1, step: 0.01 },
  { name: "max_tokens", min: 1, max: Number.MAX_SAFE_INTEGER, step: 1 },
] as const;

/** The metadata entry; another client may write what it likes there. */
const ENTRY = "parameters";

/** The parameters in a conversation's metadata, without what is none. */
export function parametersIn({ metadata }: Pick<Conversation, "metadata">): Parameters {
  let stored: unknown;
  try {
    stored = JSON.parse(metadata[ENTRY] ?? "{}");
  } catch {
    return {};
  }
  if (typeof stored !== "object" || stored === null) return {};
  const given = stored as Record<keyof Parameters, unknown>;
  const parameters: Parameters = {};
  for (const { name, min, max } of NUMBERS) {
    const value = given[name];
    if (typeof value !== "number" || value < min || value > max) continue;
    if (name !== "max_tokens" || Number.isInteger(value)) parameters[name] = value;
  }
  const effort = REASONING_EFFORTS.find((each) => each === given.reasoning_effort);
  return effort ? { ...parameters, reasoning_effort: effort } : parameters;
}

/** A conversation's metadata with these parameters in place of those that it has. */
export function withParameters(
  metadata: Conversation["metadata"],
  parameters: Parameters,
): Conversation["metadata"] {
  const { [ENTRY]: _, ...others } = metadata;
  return Object.keys(parameters).length
    ? { ...others, [ENTRY]: JSON.stringify(parameters) }
    : others;
}

/** Whether a model takes a parameter; a model that the server does not list may take all. */
export function takes(model: Model | undefined, name: keyof Parameters): boolean {
  return model?.options.includes(name) ?? true;
}

/** Those of the parameters that a model takes; with another one the server refuses the question. */
export function parametersFor(model: Model | undefined, parameters: Parameters): Parameters {
  return Object.fromEntries(
    Object.entries(parameters).filter(([name]) => takes(model, name as keyof Parameters)),
  );
}
