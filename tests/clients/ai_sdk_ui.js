/**
 * `useChat` of Vercel's AI SDK, by its majors and for Vue or React, as the test says line by line:
 * each line is a command, and each has one line for its result.
 *
 * The app is what the SDK's documentation shows: `api` is set, tools run in the browser, and a stop
 * that reaches the server is one line.
 */

import { heard, run, say } from "./script.js";

const { url, major, framework } = await given();
const { DefaultChatTransport, lastAssistantMessageIsCompleteWithToolCalls } = await import(
  `ai${major}`
);
const api = `${url}/ai-sdk/chat`;
const calls = [];
const errors = [];
const finishes = [];
const requests = [];
let open = 0; // requests whose response has not ended
let breakConnection = () => {};
let chat;

async function given() {
  return JSON.parse(process.argv[2]);
}

/** `fetch`, whose connection the test may break as a browser sees it: by a TypeError. */
async function fetchThatBreaks(address, options) {
  requests.push(options?.method ?? "GET");
  open += 1;
  const cut = new AbortController();
  const stopped = options?.signal;
  const signal = stopped ? AbortSignal.any([cut.signal, stopped]) : cut.signal;
  try {
    const response = await fetch(address, { ...options, signal });
    if (!response.body) {
      open -= 1;
      return response;
    }
    const { status, headers } = response;
    return new Response(bodyThatBreaks(response.body.getReader(), cut, stopped), {
      status,
      headers,
    });
  } catch (error) {
    open -= 1;
    throw error;
  }
}

function bodyThatBreaks(reader, cut, stopped) {
  let over = false;
  const end = (act) => {
    if (over) return;
    over = true;
    open -= 1;
    act();
  };
  return new ReadableStream({
    start(controller) {
      breakConnection = () => {
        end(() => controller.error(new TypeError("network error")));
        cut.abort();
      };
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) end(() => controller.close());
        else if (!over) controller.enqueue(value);
      } catch (error) {
        end(() => controller.error(stopped?.aborted ? error : new TypeError("network error")));
      }
    },
    cancel() {
      end(() => {});
      return reader.cancel();
    },
  });
}

function options({ id, messages = [], body, onlyLast, results, resume, ownChat }) {
  const transport = new DefaultChatTransport({
    api,
    body,
    fetch: fetchThatBreaks,
    ...(onlyLast && {
      prepareSendMessagesRequest: ({ id, messages, trigger, messageId }) => ({
        body: { ...body, id, message: messages.at(-1), trigger, messageId },
      }),
    }),
  });
  return {
    id,
    messages,
    transport,
    resume,
    ownChat,
    onError: (error) => errors.push(error.message),
    onFinish: ({ isError, isAbort, isDisconnect, finishReason, message }) =>
      finishes.push({ isError, isAbort, isDisconnect, finishReason, id: message?.id }),
    onToolCall: ({ toolCall: { toolName, toolCallId, input } }) => {
      calls.push({ toolName, toolCallId, input });
      if (results) chat.addToolOutput({ tool: toolName, toolCallId, output: results[toolName] });
    },
    sendAutomaticallyWhen: results ? lastAssistantMessageIsCompleteWithToolCalls : undefined,
  };
}

const frameworks = {
  async vue(chosen) {
    const { Chat } = await import(`ai${major}-vue`);
    return new Chat(chosen);
  },

  async react(chosen) {
    if (!globalThis.window) {
      const { Window } = await import("happy-dom");
      globalThis.window = new Window();
      globalThis.document = window.document;
      globalThis.navigator ??= window.navigator;
    }
    const { createElement } = await import("react");
    const { createRoot } = await import("react-dom/client");
    const { Chat, useChat } = await import(`ai${major}-react`);
    const { resume, ownChat, ...rest } = chosen;
    const used = ownChat ? { chat: new Chat(rest), resume } : { ...rest, resume };
    let current;
    const Page = () => {
      current = useChat(used);
      return null;
    };
    const root = createRoot(document.createElement("div"));
    root.render(createElement(Page));
    while (!current) await turn();
    return new Proxy(
      {},
      { get: (_, name) => (name === "unmount" ? () => root.unmount() : current[name]) },
    );
  },
};

/** What a person sees, and what the app was told. */
function seen() {
  const { messages, status, error } = chat;
  return JSON.parse(
    JSON.stringify({ messages, status, error: error?.message, calls, errors, finishes, requests }),
  );
}

const textOf = (message) =>
  (message?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
const turn = () => new Promise((resolve) => setTimeout(resolve, 2));

const commands = {
  /** The page is opened, or opened again. */
  async open(chosen) {
    chat?.unmount?.();
    calls.length = errors.length = finishes.length = requests.length = 0;
    chat = await frameworks[framework](options(chosen));
    if (chosen.resume && framework === "vue") void chat.resumeStream();
    return null;
  },
  send: (message) => void chat.sendMessage(message),
  regenerate: (named) => void chat.regenerate(named ?? undefined),
  resume: () => void chat.resumeStream(),
  disconnect: () => breakConnection(),
  leave: () => void chat.stop(),
  async stop({ id }) {
    return (await fetch(`${api}/${id}/stop`, { method: "POST" })).status;
  },
  /** Until the last message has this text. */
  async text(expected) {
    while (textOf(chat.messages.at(-1)) !== expected) await turn();
    return null;
  },
  /** Until the chat has one of these statuses, and no request goes on unless it is streaming. */
  async settle({ statuses, requests: least }) {
    const settled = () =>
      statuses.includes(chat.status) &&
      requests.length >= least &&
      (open === 0 || chat.status === "streaming");
    for (let turns = 0; turns < 5; turns = settled() ? turns + 1 : 0) await turn();
    return seen();
  },
  seen,
};

run(async () => {
  for (let asked = await heard(); asked; asked = await heard()) {
    const [[name, argument]] = Object.entries(asked);
    say((await commands[name](argument)) ?? null);
  }
  return seen();
});
