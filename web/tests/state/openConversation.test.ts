import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Conversation, Message, Page } from "../../src/api";
import type { AnswerEvent } from "../../src/stream";
import { openTab, type FakeTab } from "./fakeBrowser";

const conversation = (id: string, title = id): Conversation => ({
  ...{ id, title, model: null, system: null, metadata: {}, created_at: "", updated_at: "" },
});

const message = (id: string, parent: string | null, role: Message["role"]): Message => ({
  ...{ id, conversation_id: "one", parent_id: parent, role, status: "complete" },
  ...{ blocks: [{ type: "text", text: id }], model: null, finish_reason: null, usage: null },
  ...{ timing: null, error: null, created_at: "", ended_at: null },
});

const STORED = [message("q1", null, "user"), message("a1", "q1", "assistant")];
const ASKED = [message("q2", "a1", "user"), message("a2", "q2", "assistant")];

const api = {
  conversation: vi.fn<(id: string) => Promise<Conversation>>(),
  messages: vi.fn<(id: string) => Promise<Page<Message>>>(),
  change: vi.fn<(id: string, changes: Partial<Conversation>) => Promise<Conversation>>(),
};
/** Accept or refuse the question that is being sent. */
let accept: () => void;
let refuse: (error: unknown) => void;
let tab: FakeTab;

beforeEach(() => {
  vi.resetModules();
  tab = openTab("/c/one");
  vi.stubGlobal("requestAnimationFrame", () => 1);
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
  vi.doMock("../../src/state/server", () => ({ api, server: {} }));
  const accepted = new Promise<void>((resolve, reject) => {
    accept = resolve;
    refuse = reject;
  });
  async function* send(): AsyncGenerator<AnswerEvent> {
    await accepted;
    yield {
      type: "start",
      data: { conversation_id: "one", question_id: "q2", answer_id: "a2", model: "m" },
    };
    const ending = { finish_reason: "stop", usage: null, timing: null };
    yield { type: "end", data: { status: "complete", ...ending } };
  }
  vi.doMock("../../src/state/outbox", async (original) => ({ ...(await original()), send }));
  api.conversation.mockReset().mockImplementation(async (id) => conversation(id));
  api.change
    .mockReset()
    .mockImplementation(async (id, changes) => ({ ...conversation(id), ...changes }));
  api.messages.mockReset().mockImplementation(async (id) => ({
    data: id === "one" ? STORED : [],
    next: null,
  }));
});
afterEach(() => void vi.unstubAllGlobals());

async function opened() {
  const { chat } = await import("../../src/state/chat");
  const { asking } = await import("../../src/state/asking");
  const { navigate } = await import("../../src/state/route");
  await chat.open();
  const shown = () => chat.path.value.map(({ id }) => id);
  const go = (id: string | null) => (navigate(id), chat.open());
  return { asking, chat, go, shown };
}

test("settings that were stored are told to the other tabs, which show and send them", async () => {
  const notifyTabs = vi.fn();
  vi.doMock("../../src/state/tabs", () => ({ notifyTabs }));
  const { chat } = await opened();
  await chat.configure({ systemPrompt: "", parameters: { temperature: 1 } });
  expect(notifyTabs).toHaveBeenCalledExactlyOnceWith({ conversation: "one", what: "changed" });
  vi.doUnmock("../../src/state/tabs");
});

test("settings leave alone what another client has stored with the conversation since", async () => {
  const { chat } = await opened();
  api.conversation.mockImplementation(async (id) => ({
    ...conversation(id),
    metadata: { tag: "work" },
  }));
  await chat.configure({ systemPrompt: "", parameters: { temperature: 1 } });
  expect(api.change).toHaveBeenLastCalledWith("one", {
    system: null,
    metadata: { tag: "work", parameters: '{"temperature":1}' },
  });
});

test("a question asked while the server was away brings back what came before it", async () => {
  const { asking, chat, go, shown } = await opened();
  expect(shown()).toEqual(["q1", "a1"]);
  const asked = asking.send("q2", null);
  api.messages.mockRejectedValue(new TypeError("Failed to fetch"));
  await go("two");
  await go("one");
  expect(shown()).toEqual([null, null]);
  expect(chat.state.value).toBe("failed"); // which is said, with a button to try again

  api.messages.mockResolvedValue({ data: [...STORED, ...ASKED], next: null });
  accept();
  await asked;
  await vi.waitFor(() => expect(shown()).toEqual(["q1", "a1", "q2", "a2"]));

  expect(chat.state.value).toBe("ready");
});

test("a question that is accepted while its conversation is being loaded is not lost", async () => {
  const { asking, go, shown } = await opened();
  const asked = asking.send("q2", null);
  await go("two");
  let load: (page: Page<Message>) => void = () => undefined;
  api.messages.mockReturnValueOnce(new Promise((resolve) => (load = resolve)));
  const reopened = go("one");

  accept();
  await asked;
  api.messages.mockResolvedValue({ data: [...STORED, ...ASKED], next: null });
  load({ data: STORED, next: null }); // read before the question was stored
  await reopened;

  await vi.waitFor(() => expect(shown()).toEqual(["q1", "a1", "q2", "a2"]));
});

test("renaming the open conversation renames what is shown of it, and another one does not", async () => {
  const { chat } = await opened();

  await chat.rename(conversation("two"), "Other");
  expect(chat.conversation.value?.title).toBe("one");
  await chat.rename(conversation("one"), "New");

  expect(chat.conversation.value?.title).toBe("New");
});

test("a question that was refused is in the composer of the next page, and of none after signing out", async () => {
  const { asking, chat, go } = await opened();
  const { ApiError } = await import("../../src/stream");
  refuse(new ApiError(403, "storage_quota_exceeded", ""));
  await asking.send("refused", null);
  await go("two");
  expect(chat.draft.value).toBe("");

  tab.window.dispatchEvent(new Event("pagehide"));
  await go("one");
  expect(chat.draft.value).toBe("refused");
  expect(chat.path.value.map(({ id }) => id)).toEqual(["q1", "a1"]);

  await asking.send("refused again", null);
  const { signOut } = await import("../../src/state/session");
  signOut();
  tab.window.dispatchEvent(new Event("pagehide"));

  expect(tab.local.items.size).toBe(0);
});

test("the settings of a new conversation are kept until it is made, and then are its own", async () => {
  const first = await opened();
  const settings = { systemPrompt: "Be brief.", parameters: { temperature: 0.5 } };
  await first.go(null);
  await first.chat.configure(settings);
  await first.go("one");
  expect(first.chat.systemPrompt.value).toBe("");
  expect(first.chat.parameters.value).toEqual({});
  await first.go(null);
  expect(first.chat.systemPrompt.value).toBe("Be brief.");

  vi.resetModules();
  tab = openTab("/", { local: tab.local });
  const { asking, chat, go } = await opened();
  expect(chat.systemPrompt.value).toBe("Be brief.");
  expect(chat.parameters.value).toEqual({ temperature: 0.5 });
  accept();
  await asking.send("q2", null);
  expect(api.change.mock.lastCall?.[1].metadata).toEqual({ parameters: '{"temperature":0.5}' });
  await go(null);

  expect(chat.systemPrompt.value).toBe("");
  expect(chat.parameters.value).toEqual({});
});

test("settings of a conversation that could not be loaded are stored with it all the same", async () => {
  api.conversation.mockRejectedValueOnce(new TypeError("Failed to fetch"));
  const { chat } = await opened();
  expect(chat.state.value).toBe("failed");

  await chat.configure({ systemPrompt: "Be brief.", parameters: {} });

  expect(api.change).toHaveBeenLastCalledWith("one", { system: "Be brief.", metadata: {} });
  expect(chat.systemPrompt.value).toBe("Be brief.");
});

test.each(["before the conversation was loaded", "after that"])(
  "settings that were not shown when others were written stay, if they are saved %s",
  async (when) => {
    const metadata = { parameters: '{"top_p":0.5}' };
    const stored = { ...conversation("one"), system: "Be brief.", metadata };
    api.conversation.mockImplementation(async () => stored);
    if (when !== "after that") api.conversation.mockRejectedValueOnce(new TypeError("offline"));
    const { chat } = await opened();

    await chat.configure({ systemPrompt: "", parameters: { temperature: 1 } }, false);

    const parameters = '{"top_p":0.5,"temperature":1}';
    expect(api.change.mock.lastCall).toEqual([
      "one",
      { system: "Be brief.", metadata: { parameters } },
    ]);
  },
);

test("settings are stored with the conversation for which they were written", async () => {
  const { chat, go } = await opened();
  await go("two");

  await chat.configure({ systemPrompt: "Be brief.", parameters: {} }, true, "one");

  expect(api.change.mock.lastCall?.[0]).toBe("one");
  expect(chat.systemPrompt.value).toBe("");
});

test("what is written for a new conversation follows it to its id, and not the user", async () => {
  const { asking, chat, go } = await opened();
  await go(null);
  const left = chat.place();
  await go("two");
  expect(left.value).toBeNull();
  await go(null);
  const asked = chat.place();
  accept();
  await asking.send("q2", null);

  expect(asked.value).toBe("one");
  await go("two");
  expect(asked.value).toBe("one");
});

test("an answer is the open conversation's until another one is opened", async () => {
  const { messageStore } = await import("../../src/state/messageStore");
  const { asking, chat, go } = await opened();
  await go(null);
  const sent = asking.send("q2", null);
  const answer = chat.live.value!;
  expect(messageStore.has(answer)).toBe(true);
  accept();
  await sent;
  expect(messageStore.has(answer)).toBe(true);

  await go("two");

  expect(messageStore.has(answer)).toBe(false);
});
