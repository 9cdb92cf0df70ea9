/** OpenAI's npm package asks for responses: `given.way` says by which of its calls. */

import OpenAI from "openai";
import { described, endings, heard, run, say } from "./script.js";

const ways = {
  async stream(sdk, ask) {
    const events = [];
    for await (const event of await sdk.responses.create({ ...ask, stream: true }))
      events.push(event);
    return texts(events);
  },

  async whole(sdk, ask) {
    const made = await sdk.responses.create(ask);
    const kept = await sdk.responses.retrieve(made.id);
    await sdk.responses.delete(made.id);
    const gone = await sdk.responses.retrieve(made.id).catch(described);
    return {
      text: made.output_text,
      kept: kept.output_text,
      status: gone.status,
    };
  },

  async helper(sdk, ask) {
    const stream = sdk.responses.stream(ask);
    let text = "";
    stream.on("response.output_text.delta", ({ delta }) => (text += delta));
    const final = await stream.finalResponse();
    return { text, final: final.output_text };
  },

  async parse(sdk, ask) {
    return (await sdk.responses.parse(ask)).output_parsed;
  },

  async tools(sdk, ask, { result }) {
    const first = await sdk.responses.stream(ask).finalResponse();
    const [call] = first.output.filter(({ type }) => type === "function_call");
    const second = await sdk.responses.create({
      ...ask,
      previous_response_id: first.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: result }],
    });
    return { call: [call.call_id, call.name, call.arguments], text: second.output_text };
  },

  async items(sdk, ask) {
    const made = await sdk.responses.create(ask);
    const items = [];
    for await (const item of sdk.responses.inputItems.list(made.id)) items.push(item);
    return items;
  },

  async conversation(sdk, ask) {
    const talk = await sdk.conversations.create({ metadata: { topic: "天气" } });
    const first = await sdk.responses.create({ ...ask, conversation: talk.id });
    const roles = [];
    for await (const item of sdk.conversations.items.list(talk.id, { order: "asc" }))
      if (item.type === "message") roles.push(item.role);
    const { metadata } = await sdk.conversations.update(talk.id, { metadata: { topic: "再来" } });
    const { deleted } = await sdk.conversations.delete(talk.id);
    return { same: first.conversation.id === talk.id, roles, metadata, deleted };
  },

  /** Read as far as the first text, say which response it is, and leave; then come back. */
  async resume(sdk, ask) {
    const before = [];
    const headers = { "Headrace-On-Disconnect": "finish" };
    const stream = await sdk.responses.create({ ...ask, stream: true }, { headers });
    for await (const event of stream) {
      before.push(event);
      if (event.type === "response.output_text.delta") break; // which aborts the request
    }
    const { id } = before[0].response;
    say(id);
    await heard();
    const after = before.at(-1).sequence_number;
    const plain = [];
    const again = await sdk.responses.retrieve(id, { stream: true, starting_after: after });
    for await (const event of again) plain.push(event);
    const helper = [];
    const helped = sdk.responses.stream({ response_id: id, starting_after: after });
    for await (const event of helped) helper.push(event);
    return {
      plain: texts([...before, ...plain]),
      helper: texts([...before, ...helper]),
      final: (await helped.finalResponse()).output_text,
    };
  },

  async cancel(sdk, ask) {
    const made = await sdk.responses.create({ ...ask, background: true });
    const { status } = await sdk.responses.cancel(made.id);
    return { began: made.status, status };
  },

  async endings(sdk, ask) {
    await endings(async (begun) => {
      try {
        const stream = sdk.responses.stream(ask);
        for await (const { type } of stream) {
          if (type === "response.output_text.delta") begun();
        }
        const { status, incomplete_details, error } = await stream.finalResponse();
        return { status, reason: incomplete_details?.reason, code: error?.code };
      } catch (error) {
        return described(error);
      }
    });
  },
};

function texts(events) {
  const joined = (kind) =>
    events
      .filter(({ type }) => type === `response.${kind}.delta`)
      .map(({ delta }) => delta)
      .join("");
  return { text: joined("output_text"), reasoning: joined("reasoning_summary_text") };
}

run(({ url, way, ask, ...given }) => {
  const sdk = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
  return ways[way](sdk, ask, given);
});
