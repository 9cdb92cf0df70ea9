/** AG-UI's client runs an agent: `given.way` says how. */

import { HttpAgent } from "@ag-ui/client";
import { described, endings, run } from "./script.js";

const ways = {
  /** One run for each list of messages; what the client has in the end. */
  async runs(agent, { turns, tools, forwardedProps }) {
    const types = [];
    const custom = [];
    const results = [];
    for (const messages of turns) {
      for (const message of messages) agent.addMessage(message);
      const subscriber = {
        onEvent: ({ event }) => void types.push(event.type),
        onCustomEvent: ({ event }) => void custom.push(event.name),
        onRunFinishedEvent: ({ event }) => void results.push(event),
      };
      await agent.runAgent({ tools, forwardedProps }, subscriber);
    }
    return { messages: agent.messages, types, custom, results };
  },

  async endings(agent) {
    await endings(async (begun) => {
      let failed = null;
      let outcome = null;
      agent.setMessages([{ id: crypto.randomUUID(), role: "user", content: "你好" }]);
      agent.threadId = crypto.randomUUID();
      try {
        await agent.runAgent(
          {},
          {
            onTextMessageContentEvent: () => void begun(),
            onRunErrorEvent: ({ event }) => void (failed = event.code),
            onRunFinishedEvent: ({ event }) => void (outcome = event.outcome?.type),
          },
        );
        return { failed, outcome };
      } catch (error) {
        return { failed, outcome, thrown: described(error) };
      }
    });
  },

  /** What the client says of a request that is refused. */
  async refused(agent, { messages }) {
    agent.setMessages(messages);
    return agent.runAgent().then(() => null, described);
  },
};

run(({ url, way, threadId, ...given }) => ways[way](new HttpAgent({ url, threadId }), given));
