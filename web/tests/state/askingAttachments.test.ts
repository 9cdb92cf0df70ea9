import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Attachment } from "../../src/attachments/attachment";
import type { AnswerEvent, Block } from "../../src/stream";
import { openTab, type FakeTab } from "./fakeBrowser";

/** The browser's database, which outlives a reload. */
const database = vi.hoisted(() => new Map<string, Blob>());

const api = {
  conversation: async (id: string) => ({ id, title: id, model: null, system: null, metadata: {} }),
  messages: vi.fn(),
  file: vi.fn(),
};
/** The questions that were sent: their texts and the names of their attachments. */
let sent: { text: string; attached: string[] }[];
let accept: () => void;
let refuse: (error: unknown) => void;
let tab: FakeTab;

function script(): void {
  const accepted = new Promise<void>((resolve, reject) => {
    accept = resolve;
    refuse = reject;
  });
  vi.doMock("../../src/state/outbox", async (original) => {
    const real = await original<typeof import("../../src/state/outbox")>();
    async function* send(
      { asked }: import("../../src/state/outbox").OutboxEntry,
      attachments: readonly Attachment[],
    ): AsyncGenerator<AnswerEvent> {
      const text = "content" in asked ? asked.content : "";
      sent.push({ text, attached: attachments.map(({ name }) => name) });
      await accepted;
      const ids = { conversation_id: "one", question_id: "q2", answer_id: "a2", model: "m" };
      yield { type: "start", data: ids };
      const nothing = { finish_reason: "stop", usage: null, timing: null };
      yield { type: "end", data: { status: "complete", ...nothing } };
    }
    return { ...real, send };
  });
}

/** Load the page: what was in its memory is gone, and what is stored is there. */
async function load() {
  vi.resetModules();
  tab = openTab("/c/one", tab);
  script();
  const { chat } = await import("../../src/state/chat");
  const { asking } = await import("../../src/state/asking");
  const { attachmentTray } = await import("../../src/attachments/tray");
  const { notice } = await import("../../src/state/notice");
  await chat.open();
  const inTray = () => attachmentTray.tray.value.attachments.map(({ name }) => name);
  const blocks = () => chat.path.value.at(0)?.blocks ?? [];
  return { asking, attachmentTray, blocks, chat, inTray, notice };
}

const message = (id: string, role: string, blocks: Block[]) => ({
  ...{ id, conversation_id: "one", parent_id: null, role, status: "complete", blocks },
  ...{ model: null, finish_reason: null, usage: null, timing: null, error: null },
  ...{ created_at: "", ended_at: null },
});
const image: Attachment = { key: "k", kind: "image", name: "photo", content: new Blob(["x"]) };

beforeEach(() => {
  database.clear();
  sent = [];
  tab = openTab("/c/one");
  vi.stubGlobal("requestAnimationFrame", () => 1);
  vi.stubGlobal("cancelAnimationFrame", () => undefined);
  vi.doMock("../../src/state/server", () => ({ api, server: {} }));
  vi.doMock("../../src/attachments/contents", () => ({
    putContent: async (key: string, content: Blob) => void database.set(key, content),
    getContent: async (key: string) => database.get(key) ?? null,
    removeContent: async (key: string) => void database.delete(key),
  }));
  api.messages.mockReset().mockResolvedValue({ data: [], next: null });
  api.file.mockReset();
});
afterEach(() => void vi.unstubAllGlobals());

/** Send a question as the composer does. */
async function ask({ asking, attachmentTray }: Awaited<ReturnType<typeof load>>, text: string) {
  attachmentTray.putBack("one", [image]);
  const asked = asking.send(text, null, attachmentTray.take());
  await vi.waitUntil(() => sent.length > 0);
  return asked;
}

test("a question shows its attachments at once, and forgets what it kept once it is accepted", async () => {
  const page = await load();
  const asked = ask(page, "");
  await vi.waitUntil(() => sent.length > 0);
  expect(sent).toEqual([{ text: "", attached: ["photo"] }]);
  expect(page.blocks()).toEqual([{ type: "image", content: image.content }]);
  expect([...database.keys()]).toEqual(["k"]);

  accept();
  await asked;

  expect(database.size).toBe(0);
  expect(page.inTray()).toEqual([]);
});

test("a page that is reloaded before that sends it again, with its attachments", async () => {
  const page = await load();
  void ask(page, "What is it?");
  await vi.waitUntil(() => database.has("k") && sent.length === 1);

  const reloaded = await load();
  expect(reloaded.inTray()).toEqual([]);
  void reloaded.asking.resume();
  await vi.waitUntil(() => sent.length === 2);

  expect(sent[1]).toEqual(sent[0]);
  expect(reloaded.blocks().map(({ type }) => type)).toEqual(["image", "text"]);
});

test("without its attachments it is not sent, but back in the composer, which is said", async () => {
  const page = await load();
  void ask(page, "What is it?");
  await vi.waitUntil(() => database.delete("k"));

  const reloaded = await load();
  await reloaded.asking.resume();

  expect(sent).toHaveLength(1);
  expect(reloaded.chat.draft.value).toBe("What is it?");
  expect(reloaded.notice.value).toBe("attachments_lost");
  await reloaded.asking.resume();
  expect(reloaded.chat.draft.value).toBe("What is it?");
});

test("a question that is withdrawn is in the composer again, with its attachments", async () => {
  const page = await load();
  const asked = ask(page, "What is it?");
  await vi.waitUntil(() => sent.length > 0);

  page.asking.stopLive();
  refuse(new DOMException("withdrawn", "AbortError"));
  await asked;

  expect(page.chat.draft.value).toBe("What is it?");
  expect(page.inTray()).toEqual(["photo"]);
  expect((await load()).inTray()).toEqual([]); // it is put back a moment later:
  const { attachmentTray } = await load();
  await vi.waitUntil(() => attachmentTray.tray.value.attachments.length === 1);
});

test("a question that was refused is sent again with its attachments", async () => {
  const page = await load();
  const asked = ask(page, "What is it?");
  const { ApiError } = await import("../../src/stream");
  refuse(new ApiError(503, "storage_unavailable", ""));
  await asked;

  void page.asking.regenerate(page.chat.path.value.at(-1)!, null);
  await vi.waitUntil(() => sent.length === 2);

  expect(sent[1]).toEqual({ text: "What is it?", attached: ["photo"] });
});

test("an edited question brings its images and files, which are loaded", async () => {
  const stored: Block[] = [
    { type: "image", file_id: "f1" },
    { type: "file", file_id: "f2", name: "notes.md" },
    { type: "text", text: "What?" },
  ];
  api.messages.mockResolvedValue({ data: [message("q1", "user", stored)], next: null });
  api.file.mockImplementation(async (id: string) => new Blob([id]));
  const page = await load();

  void page.asking.edit(page.chat.path.value[0]!, "Why?", null);
  await vi.waitUntil(() => sent.length === 1);

  expect(sent).toEqual([{ text: "Why?", attached: ["image", "notes.md"] }]);
});

test("an edited question is asked in its conversation, whichever is open once its files are there", async () => {
  const stored: Block[] = [{ type: "image", file_id: "f1" }];
  api.messages.mockResolvedValue({ data: [message("q1", "user", stored)], next: null });
  let arrive: (content: Blob) => void = () => undefined;
  api.file.mockReturnValue(new Promise((resolve) => (arrive = resolve)));
  const page = await load();
  const { navigate } = await import("../../src/state/route");
  const outbox = await import("../../src/state/outbox");

  void page.asking.edit(page.chat.path.value[0]!, "Why?", null);
  navigate(null);
  await page.chat.open();
  arrive(new Blob(["x"]));
  await vi.waitUntil(() => sent.length === 1);

  expect(page.chat.path.value).toEqual([]);
  expect(outbox.unsentBy(null)).toMatchObject([{ conversation: "one", edited: "q1" }]);
});

test("an edited question whose files cannot be loaded is not sent, and stays in its editor", async () => {
  const stored: Block[] = [{ type: "image", file_id: "f1" }];
  api.messages.mockResolvedValue({ data: [message("q1", "user", stored)], next: null });
  api.file.mockRejectedValue(new TypeError("Failed to fetch"));
  const page = await load();
  const { edits } = await import("../../src/state/edits");
  const [question] = page.chat.path.value;

  await expect(page.asking.edit(question!, "Why?", null)).rejects.toThrow();

  expect(sent).toEqual([]);
  expect(edits.get(question!)).toBe("Why?");
});
