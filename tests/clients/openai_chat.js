/** OpenAI's npm package asks for chat completions: `given.way` says by which of its calls. */

import OpenAI from "openai";
import { described, endings, run } from "./script.js";

const ways = {
  async stream(sdk, ask) {
    const seen = { text: "", reasoning: "", calls: [], finish: null, usage: null };
    const chunks = await sdk.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of chunks) {
      seen.usage = chunk.usage ?? seen.usage;
      for (const { delta, finish_reason } of chunk.choices) {
        seen.text += delta.content ?? "";
        seen.reasoning += delta.reasoning_content ?? "";
        seen.calls.push(...(delta.tool_calls ?? []));
        seen.finish = finish_reason ?? seen.finish;
      }
    }
    return seen;
  },

  async whole(sdk, ask) {
    const { choices, usage } = await sdk.chat.completions.create(ask);
    const [{ message, finish_reason }] = choices;
    return {
      text: message.content,
      reasoning: message.reasoning_content,
      finish: finish_reason,
      usage,
    };
  },

  async helper(sdk, ask) {
    const stream = sdk.chat.completions.stream(ask);
    let text = "";
    stream.on("content", (delta) => (text += delta));
    const final = await stream.finalChatCompletion();
    return {
      text,
      final: final.choices[0].message.content,
      calls: final.choices[0].message.tool_calls,
    };
  },

  async parse(sdk, ask) {
    const made = await sdk.chat.completions.parse(ask);
    return made.choices[0].message.parsed;
  },

  async tools(sdk, ask, { result }) {
    const called = [];
    const [{ function: definition }] = ask.tools;
    const tools = [
      {
        type: "function",
        function: {
          ...definition,
          parse: JSON.parse,
          function: (given) => {
            called.push(given);
            return result;
          },
        },
      },
    ];
    const runner = sdk.chat.completions.runTools({ ...ask, tools, stream: true });
    return { text: await runner.finalContent(), called };
  },

  async models(sdk, { model }) {
    const listed = [];
    for await (const each of sdk.models.list()) listed.push(each.id);
    return { listed, one: (await sdk.models.retrieve(model)).id };
  },

  async kept(sdk, ask) {
    const { completions } = sdk.chat;
    const made = await completions.create({ ...ask, store: true, metadata: { topic: "天气" } });
    const found = await completions.retrieve(made.id);
    const updated = await completions.update(made.id, { metadata: { topic: "再来" } });
    const listed = [];
    for await (const each of completions.list()) listed.push(each.id);
    const { deleted } = await completions.delete(made.id);
    const gone = await completions.retrieve(made.id).catch(described);
    return {
      text: found.choices[0].message.content,
      topic: updated.metadata.topic,
      listed: listed.includes(made.id),
      deleted,
      status: gone.status,
    };
  },

  async endings(sdk, ask) {
    await endings(async (begun) => {
      let finish = "silence";
      try {
        const stream = sdk.chat.completions.stream(ask);
        for await (const { choices } of stream) {
          if (choices[0].delta.content) begun();
          finish = choices[0].finish_reason ?? finish;
        }
        await stream.finalChatCompletion();
      } catch (error) {
        return described(error);
      }
      return { finish };
    });
  },
};

run(({ url, way, ask, ...given }) => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  return ways[way](sdk, ask, given);
});
