import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FakeServer, refusal, StreamedResponse } from "../stream/fakeServer";
import { openTab, type FakeTab } from "./fakeBrowser";

/** What the server stores of a message. */
type Stored = { id: string; role: string; parent_id: string | null; status: string };

let server: FakeServer;
let stored: Stored[];
let tab: FakeTab;

const message = ({ id, role, parent_id, status }: Stored) => ({
  ...{ id, conversation_id: "c1", parent_id, role, status },
  ...{ blocks: [{ type: "text", text: id }], model: null, finish_reason: null, usage: null },
  ...{ timing: null, error: null, created_at: "", ended_at: null },
});
const answered: Stored[] = [
  { id: "q0", role: "user", parent_id: null, status: "complete" },
  { id: "a0", role: "assistant", parent_id: "q0", status: "complete" },
];

/** Streams and POSTs are scripted by `server`; what is loaded is `stored`. */
const scriptedFetch: typeof fetch = (input, init) => {
  const path = String(input);
  if (init?.method === "POST" || path.includes("/events")) return server.fetch(input, init);
  const body = path.includes("/messages")
    ? { data: stored.map(message), next: null }
    : { id: "c1", title: "A title", model: null, system: null, metadata: {}, created_at: "" };
  return Promise.resolve(Response.json(body));
};

/** Load the page at `path`. */
async function load(path = "/") {
  vi.resetModules();
  tab = openTab(path, tab);
  vi.doMock("../../src/attachments/contents", () => ({
    putContent: async () => undefined,
    getContent: async () => null,
    removeContent: async () => undefined,
  }));
  const { chat } = await import("../../src/state/chat");
  const { asking } = await import("../../src/state/asking");
  const { edits } = await import("../../src/state/edits");
  await chat.open();
  const last = () => chat.path.value.at(-1)!;
  const bodies = () => server.requests.map(({ body }) => JSON.parse(body ?? "null"));
  const keys = () => server.requests.map(({ headers }) => headers["Idempotency-Key"]);
  return { asking, bodies, chat, edits, keys, last };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date"] });
  server = new FakeServer();
  stored = [];
  tab = openTab();
  vi.stubGlobal("fetch", scriptedFetch);
  vi.stubGlobal("requestAnimationFrame", () => 1);
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("a question is shown at once, and names its conversation once it is accepted", async () => {
  const stream = new StreamedResponse();
  server.responses.push(stream);
  const { asking, bodies, chat, last } = await load();

  const asked = asking.send("Why?", "p/m");
  expect(chat.path.value.map(({ status }) => status)).toEqual(["complete", "asking"]);
  stream.start().delta(2, "So").end(2);
  await asked;

  expect(last()).toMatchObject({ id: "a1", parent: "q1", status: "complete" });
  expect(last().blocks).toEqual([{ type: "text", text: "So" }]);
  expect(tab.location.pathname).toBe("/c/c1");
  expect(bodies()).toEqual([{ content: "Why?", model: "p/m", on_disconnect: { grace: 60 } }]);
});

test("a question follows the answer that is shown last", async () => {
  stored = answered;
  server.responses.push(new StreamedResponse().start().end(0));
  const { asking, bodies } = await load("/c/c1");

  await asking.send("And then?", null);

  expect(bodies()).toMatchObject([
    { content: "And then?", conversation_id: "c1", parent_id: "a0" },
  ]);
});

test("an edited question stands where the old one stood", async () => {
  stored = answered;
  server.responses.push(new StreamedResponse().start().end(0));
  const { asking, bodies, chat, edits } = await load("/c/c1");
  const [question] = chat.path.value;
  edits.set(question!, "Why not?");

  await asking.edit(question!, "Why not?", null);

  expect(bodies()).toMatchObject([{ content: "Why not?", conversation_id: "c1", parent_id: null }]);
  expect(chat.path.value.map(({ id }) => id)).toEqual(["q1", "a1"]);
  expect(edits.get(question!)).toBeUndefined();
});

test("another answer is asked of the server by the one that there is", async () => {
  stored = answered;
  server.responses.push(new StreamedResponse().start().end(0));
  const { asking, last } = await load("/c/c1");

  await asking.regenerate(last(), "p/other");

  expect(server.requests[0]).toMatchObject({
    method: "POST",
    path: "/api/v1/answers/a0/regenerate",
  });
});

test("while the server refuses it for now, it says why and until when, and then it is asked", async () => {
  server.responses.push(
    refusal(429, "too_many_questions", {}, { "Retry-After": "30" }),
    new StreamedResponse().start().end(0),
  );
  const { asking, keys, last } = await load();

  const at = Date.now();
  const asked = asking.send("Why?", null);
  await vi.waitUntil(() => last().waiting !== null); // which polls, and so moves the clock a little
  expect(last()).toMatchObject({ status: "asking", waiting: { code: "too_many_questions" } });
  expect(Math.round((last().waiting!.until - at) / 1000)).toBe(30);
  await vi.advanceTimersByTimeAsync(30_000);
  await asked;

  expect(last()).toMatchObject({ status: "complete", waiting: null });
  expect(keys()).toEqual([keys()[0], keys()[0]]);
});

test("a refusal that lasts ends it, and says when to ask again; which is another question", async () => {
  server.responses.push(
    refusal(429, "token_budget_spent", {}, { "Retry-After": "7200" }),
    new StreamedResponse().start().end(0),
  );
  const { asking, bodies, chat, keys, last } = await load();

  await asking.send("Why?", null);
  expect(last()).toMatchObject({
    status: "refused",
    error: { code: "token_budget_spent", message: "No.", request_id: "r1" },
    waiting: { until: Date.now() + 7_200_000 },
  });
  expect(chat.live.value).toBeUndefined();
  await asking.regenerate(last(), null);

  expect(last().status).toBe("complete");
  expect(chat.draft.value).toBe("");
  expect(bodies().map(({ content }) => content)).toEqual(["Why?", "Why?"]);
  expect(new Set(keys()).size).toBe(2);
});

test("a refused question is in the composer again once another one is asked", async () => {
  server.responses.push(
    refusal(403, "storage_quota_exceeded"),
    new StreamedResponse().start().end(0),
  );
  const { asking, bodies, chat, last } = await load();
  await asking.send("Long and good?", null);
  expect([last().status, chat.draft.value]).toEqual(["refused", ""]);

  await asking.send("Other?", null);

  expect(chat.draft.value).toBe("Long and good?");
  expect(bodies().map(({ content }) => content)).toEqual(["Long and good?", "Other?"]);
});

test("a question that is withdrawn while it waits is in the composer again, before newer words", async () => {
  server.responses.push(new TypeError("Failed to fetch"));
  const { asking, chat, last } = await load();
  const asked = asking.send("Why?", null);
  await vi.waitUntil(() => last().waiting?.code === "unreachable");
  chat.draft.value = "Newer";

  asking.stopLive();
  await asked;

  expect(chat.draft.value).toBe("Why?\n\nNewer");
  expect(chat.path.value).toEqual([]);
  expect(tab.session.getItem("headrace.outbox")).toBeNull();
});

test("where another device asked first, its answer is shown and the question given back", async () => {
  stored = answered;
  server.responses.push(
    refusal(409, "conversation_busy", { answer_id: "a8" }),
    new StreamedResponse().start("a8"),
  );
  const { asking, chat, last } = await load("/c/c1");
  stored = [
    ...answered,
    { id: "q8", role: "user", parent_id: "a0", status: "complete" },
    { id: "a8", role: "assistant", parent_id: "q8", status: "live" },
  ];

  await asking.send("Mine", null);

  expect(last()).toMatchObject({ id: "a8", status: "live" });
  expect(chat.draft.value).toBe("Mine");
});

test("a reloaded page sends what was not accepted, once, under the same key", async () => {
  server.responses.push(new StreamedResponse());
  const before = await load();
  void before.asking.send("Why?", null);
  await server.arrived(1);

  server.responses.push(new StreamedResponse().start().end(0));
  const after = await load();
  await Promise.all([after.asking.resume(), after.asking.resume()]);

  expect(after.bodies()).toHaveLength(2);
  expect(new Set(after.keys()).size).toBe(1);
  expect(after.last()).toMatchObject({ id: "a1", status: "complete" });
});

test("stopping asks the server to stop the live answer", async () => {
  const stream = new StreamedResponse().start();
  server.responses.push(stream, new Response("{}"));
  const { asking, last } = await load();
  const asked = asking.send("Why?", null);
  await vi.waitUntil(() => last().status === "live");

  asking.stopLive();
  await server.arrived(2);

  expect(server.requests[1]).toMatchObject({ method: "POST", path: "/api/v1/answers/a1/stop" });
  stream.end(0, "stopped");
  await asked;
  expect(last().status).toBe("stopped");
});
