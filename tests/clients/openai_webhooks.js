/** OpenAI's npm package unwraps events of webhooks: `given.received` has bodies and headers. */

import OpenAI from "openai";
import { described, run } from "./script.js";

await run(async ({ secret, received }) => {
  const sdk = new OpenAI({ apiKey: "none", webhookSecret: secret });
  const events = [];
  for (const { body, headers } of received)
    events.push(await sdk.webhooks.unwrap(body, headers).catch(described));
  return events;
});
