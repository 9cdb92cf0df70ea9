/** TanStack AI's client: `given.way` says what it does. */

import { ChatClient, fetchServerSentEvents } from "@tanstack/ai-client";
import { described, endings, heard, run, say } from "./script.js";

const ways = {
  /** The same run with the first response cut after each number of bytes in `cuts`. */
  async cuts(url, { cuts, join }) {
    const wrong = [];
    const whole = await read(url, fetch, join);
    for (const cut of cuts) {
      const seen = await read(url, cuttingOnce(cut), join).catch(described);
      if (JSON.stringify(seen) !== JSON.stringify(whole)) wrong.push([cut, seen]);
    }
    return { whole, wrong };
  },

  /** Read until told that the run is to go on, and then to its end. */
  async broken(url) {
    const chunks = [];
    for await (const chunk of connect(url, fetch, IDS, { delayMs: 50, maxAttempts: 400 })) {
      chunks.push(chunk);
      if (chunk.type === "TEXT_MESSAGE_CONTENT") say("begun");
    }
    return made(chunks);
  },

  async chat(url, { asked, tools }) {
    const client = chatClient(url, tools);
    for (const question of asked) await client.sendMessage(question);
    return {
      messages: client.getMessages(),
      status: client.getStatus(),
      error: client.getError()?.message,
    };
  },

  /** A client that is opened on a thread, once told to: what it shows, and what it shows then. */
  async reload(url) {
    const client = chatClient(url);
    client.attach(); // as a page does that shows it
    await until(() => client.getIsLoading());
    say(client.getMessages());
    await heard();
    await until(() => !client.getIsLoading());
    return client.getMessages();
  },

  async endings(url) {
    await endings(async (begun) => {
      const chunks = [];
      let thrown = null;
      const ids = { threadId: crypto.randomUUID(), runId: crypto.randomUUID() };
      try {
        for await (const chunk of connect(url, fetch, ids)) {
          chunks.push(chunk);
          if (chunk.type === "TEXT_MESSAGE_CONTENT") begun();
        }
      } catch (error) {
        thrown = described(error);
      }
      const { type, code, outcome } = chunks.at(-1);
      return { type, code, outcome: outcome?.type, thrown };
    });
  },
};

const IDS = { threadId: "thread-1", runId: "run-1" };

function connect(url, fetchClient, ids = IDS, reconnect = { delayMs: 1 }) {
  const messages = [{ id: "u1", role: "user", parts: [{ type: "text", content: "你好" }] }];
  const connection = fetchServerSentEvents(url, { fetchClient, reconnect });
  return connection.connect(messages, undefined, undefined, ids);
}

async function read(url, fetchClient, join) {
  const chunks = [];
  const stream = join
    ? fetchServerSentEvents(url, { fetchClient, reconnect: { delayMs: 1 } }).joinRun("run-1")
    : connect(url, fetchClient);
  for await (const chunk of stream) chunks.push(chunk);
  return made(chunks);
}

/** What the chunks add up to: texts by kind, and every other chunk as it came. */
function made(chunks) {
  const texts = {};
  const others = [];
  for (const { type, delta } of chunks) {
    if (delta === undefined) others.push(type);
    else texts[type] = (texts[type] ?? "") + delta;
  }
  return { texts, others };
}

/** A `fetch` whose first response breaks off after so many bytes. */
function cuttingOnce(bytes) {
  let isCut = false;
  return async (...request) => {
    const response = await fetch(...request);
    if (isCut) return response;
    isCut = true;
    let left = bytes;
    const body = response.body.pipeThrough(
      new TransformStream({
        transform(chunk, controller) {
          if (left > 0) controller.enqueue(chunk.subarray(0, left));
          left -= chunk.length;
          if (left <= 0) controller.error(new TypeError("network error"));
        },
      }),
    );
    return new Response(body, response);
  };
}

function chatClient(url, tools = []) {
  const connection = fetchServerSentEvents(url, { reconnect: { delayMs: 10 } });
  return new ChatClient({
    connection,
    threadId: "thread-1",
    persistence: true,
    tools: tools.map(({ result, ...tool }) => ({
      ...tool,
      __toolSide: "client",
      execute: async () => result,
    })),
  });
}

async function until(isTrue) {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5));
}

run(({ url, way, ...given }) => ways[way](url, given));
