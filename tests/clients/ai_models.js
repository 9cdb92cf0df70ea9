/**
 * Vercel's AI SDK asks a model: `given.major` says in which major, `given.by` by which provider:
 * `compatible` (chat completions) or `open-responses`.
 */

import { described, endings, run } from "./script.js";

const ways = {
  async stream(sdk, ask) {
    const seen = { text: "", reasoning: "", calls: [], finish: null, usage: null };
    for await (const part of sdk.streamText(ask).fullStream) note(seen, part);
    return seen;
  },

  async whole(sdk, ask) {
    const { text, reasoningText, finishReason } = await sdk.generateText(ask);
    return { text, reasoning: reasoningText, finish: finishReason };
  },

  async tools(sdk, ask, { result }) {
    const called = [];
    const [{ name, parameters }] = ask.definitions;
    const weather = sdk.tool({
      inputSchema: sdk.jsonSchema(parameters),
      execute: (input) => {
        called.push(input);
        return result;
      },
    });
    const stream = sdk.streamText({
      ...ask,
      tools: { [name]: weather },
      stopWhen: sdk.stepCountIs(3),
    });
    return { text: await stream.text, called, steps: (await stream.steps).length };
  },

  async endings(sdk, ask) {
    await endings(async (begun) => {
      const seen = { text: "", finish: null, error: null };
      try {
        const asked = sdk.streamText({ ...ask, maxRetries: 0, onError() {} });
        for await (const part of asked.fullStream) {
          note(seen, part);
          if (part.type === "text-delta") begun();
        }
      } catch (error) {
        seen.error = described(error);
      }
      return { finish: seen.finish, error: seen.error };
    });
  },
};

function note(seen, part) {
  switch (part.type) {
    case "text-delta":
      seen.text += part.text;
      break;
    case "reasoning-delta":
      seen.reasoning += part.text;
      break;
    case "tool-call":
      seen.calls.push([part.toolCallId, part.toolName, part.input]);
      break;
    case "error":
      seen.error = described(part.error);
      break;
    case "finish":
      seen.finish = part.finishReason;
      seen.usage = part.totalUsage;
  }
}

async function modelOf(major, by, url, model) {
  if (by === "compatible") {
    const { createOpenAICompatible } = await import(`ai${major}-compatible`);
    const provider = { name: "headrace", baseURL: `${url}/v1`, includeUsage: true };
    return createOpenAICompatible(provider)(model);
  }
  const { createOpenResponses } = await import(`ai${major}-open-responses`);
  return createOpenResponses({ name: "headrace", url: `${url}/v1/responses` })(model);
}

run(async ({ url, major, by, way, ask, ...given }) => {
  const sdk = await import(`ai${major}`);
  const model = await modelOf(major, by, url, ask.model);
  return ways[way](sdk, { ...ask, model }, given);
});
