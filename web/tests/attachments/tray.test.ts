import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Attachment } from "../../src/attachments/attachment";
import type { ReadFile } from "../../src/attachments/reading";
import { openTab } from "../state/fakeBrowser";

const LIMITS = {
  max_question_chars: 1000,
  ...{ max_files: 2, max_file_bytes: 100, max_body_bytes: 100, max_file_body_bytes: 10_000 },
};
const MODELS = [
  { id: "sees", default: true, input_kinds: ["image"], options: [] },
  { id: "reads", default: false, input_kinds: ["file"], options: [] },
  { id: "talks", default: false, input_kinds: [], options: [] },
];

const api = { me: vi.fn() };
/** What becomes of a file; the test decides when. */
class Reading {
  resolve: (read: ReadFile) => void = () => undefined;
  reject: (error: unknown) => void = () => undefined;
  readonly promise = new Promise<ReadFile>((resolve, reject) =>
    Object.assign(this, { resolve, reject }),
  );
}

let readings: Map<string, Reading>;
const reading = (name: string) =>
  readings.get(name) ?? readings.set(name, new Reading()).get(name)!;

/** What was in composers when their page was left, by conversation. */
let kept: Map<string | null, Attachment[]>;
const keeping = {
  keptIn: async (_user: string | null, conversation: string | null) => kept.get(conversation) ?? [],
  keepInComposer: vi.fn(),
  keepWithQuestion: vi.fn(),
  forget: vi.fn(),
  watchOtherTabs: (onMoved: typeof moveElsewhere) => (moveElsewhere = onMoved),
};
/** Tell the page that another tab has moved an attachment to this composer, or to none. */
let moveElsewhere: (key: string, composer: string | null) => void;

beforeEach(() => {
  vi.resetModules();
  vi.resetAllMocks();
  openTab("/c/one");
  readings = new Map();
  kept = new Map();
  vi.stubGlobal("navigator", { languages: ["en"] });
  vi.doMock("../../src/state/server", () => ({ api, server: {} }));
  vi.doMock("../../src/attachments/keeping", () => keeping);
  vi.doMock("../../src/attachments/reading", () => ({
    readAttachment: ({ name }: File) => reading(name).promise,
  }));
  api.me.mockResolvedValue({ user: "ada", admin: false, limits: LIMITS });
});
afterEach(() => void vi.unstubAllGlobals());

async function opened() {
  const { attachmentTray } = await import("../../src/attachments/tray");
  const { models, selectedModel } = await import("../../src/state/models");
  const { navigate } = await import("../../src/state/route");
  models.value = MODELS;
  selectedModel.value = "sees";
  return { attachmentTray, selectedModel, navigate };
}

const file = (name: string) => new File(["x"], name);
const read = (name: string, kind: Attachment["kind"] = "image"): ReadFile => ({
  ...{ kind, name, content: new Blob([name]) },
});
const attachment = (key: string): Attachment => ({ key, ...read(key) });
const names = (items: readonly { name: string }[]) => items.map(({ name }) => name);

/** Attach images that are read at once. */
async function attach(
  { attachmentTray }: Awaited<ReturnType<typeof opened>>,
  ...chosen: string[]
): Promise<void> {
  for (const name of chosen) reading(name).resolve(read(name));
  await attachmentTray.add(chosen.map(file));
}

test("files are shown while they are read, and attached in their order", async () => {
  const { attachmentTray } = await opened();
  const { tray } = attachmentTray;

  const added = attachmentTray.add([file("first"), file("second")]);
  expect(names(tray.value.reading)).toEqual(["first", "second"]);
  reading("second").resolve(read("second"));
  reading("first").resolve(read("first"));
  await added;

  expect(names(tray.value.reading)).toEqual([]);
  expect(names(tray.value.attachments)).toEqual(["first", "second"]);
  expect(attachmentTray.addedCount.value).toBe(2);
});

test("one that cannot be attached is said by its name, and does not hinder the others", async () => {
  const { attachmentTray } = await opened();
  const { tray } = attachmentTray;
  const { AttachmentRefused } = await import("../../src/attachments/attachment");
  reading("photo").reject(new AttachmentRefused("heic"));
  reading("odd").reject(new TypeError("the module cannot be loaded"));
  reading("good").resolve(read("good"));

  await attachmentTray.add(["photo", "odd", "good"].map(file));

  expect(tray.value.refused.map(({ name, reason }) => [name, reason])).toEqual([
    ["photo", "heic"],
    ["odd", "unreadable"],
  ]);
  expect(names(tray.value.attachments)).toEqual(["good"]);

  attachmentTray.take();
  expect(tray.value.refused).toEqual([]);
});

test("a file that is removed while it is read is not attached", async () => {
  const { attachmentTray } = await opened();
  const { tray } = attachmentTray;
  const added = attachmentTray.add([file("slow"), file("next")]);

  attachmentTray.remove(tray.value.reading[0]!.key);
  reading("slow").resolve(read("slow"));
  reading("next").resolve(read("next"));
  await added;

  expect(names(tray.value.attachments)).toEqual(["next"]);
});

test("each conversation has its own, also if it is left while a file is read", async () => {
  const page = await opened();
  const { attachmentTray, navigate } = page;
  const { tray } = attachmentTray;
  const added = attachmentTray.add([file("of one")]);

  navigate("two");
  await attach(page, "of two");
  reading("of one").resolve(read("of one"));
  await added;

  expect(names(tray.value.attachments)).toEqual(["of two"]);
  navigate("one");
  expect(names(tray.value.attachments)).toEqual(["of one"]);
});

test("what was in the composer when its page was left is there again", async () => {
  kept.set("one", [attachment("old")]);
  const page = await opened();
  await attach(page, "new");

  await vi.waitUntil(() => page.attachmentTray.tray.value.attachments.length === 2);

  expect(names(page.attachmentTray.tray.value.attachments)).toEqual(["old", "new"]);
});

test("the obstacle follows the selected model and the limits", async () => {
  const page = await opened();
  const { attachmentTray, selectedModel } = page;
  const { obstacle } = attachmentTray;
  await attach(page, "a", "b");
  expect(obstacle.value).toBeNull();

  selectedModel.value = "reads";
  expect(obstacle.value?.reason).toBe("image_not_taken");
  selectedModel.value = null; // the server's default
  expect(obstacle.value).toBeNull();
  await attach(page, "c");
  expect(obstacle.value).toEqual({ reason: "too_many", limit: 2 });

  attachmentTray.remove(attachmentTray.tray.value.attachments[0]!.key);
  expect(obstacle.value).toBeNull();
});

test("limits that could not be loaded hinder nothing, and are loaded with the next file", async () => {
  api.me.mockRejectedValueOnce(new TypeError("offline"));
  const page = await opened();
  await attach(page, "a", "b", "c");
  expect(page.attachmentTray.obstacle.value).toBeNull();

  await attach(page, "d");

  expect(page.attachmentTray.obstacle.value?.reason).toBe("too_many");
  await attach(page, "e");
  expect(api.me).toHaveBeenCalledTimes(2);
});

test("attachments leave the composer with their question, and come back in front", async () => {
  const page = await opened();
  const { attachmentTray } = page;
  const { tray } = attachmentTray;
  await attach(page, "a", "b");

  const taken = attachmentTray.take();
  expect(names(taken)).toEqual(["a", "b"]);
  expect(tray.value.attachments).toEqual([]);
  expect(keeping.keepWithQuestion).toHaveBeenCalledTimes(2);
  await attach(page, "c");
  attachmentTray.putBack("one", taken);

  expect(names(tray.value.attachments)).toEqual(["a", "b", "c"]);
});

test("what was attached to a new conversation follows it to its id", async () => {
  const page = await opened();
  const { attachmentTray, navigate } = page;
  navigate(null);
  await attach(page, "next question's");

  attachmentTray.moveNewTo("three");

  expect(attachmentTray.tray.value.attachments).toEqual([]);
  navigate("three");
  expect(names(attachmentTray.tray.value.attachments)).toEqual(["next question's"]);
});

test("what another tab has sent or moved elsewhere is not sent again from here", async () => {
  kept.set("one", [attachment("sent"), attachment("moved"), attachment("stays")]);
  const { attachmentTray } = await opened();
  await vi.waitUntil(() => attachmentTray.tray.value.attachments.length === 3);

  moveElsewhere("sent", null);
  moveElsewhere("moved", "two");
  moveElsewhere("stays", "one");

  expect(names(attachmentTray.tray.value.attachments)).toEqual(["stays"]);
});

test("what another tab has attached to its new conversation stays there", async () => {
  kept.set(null, [attachment("other tab's")]);
  const page = await opened();
  const { attachmentTray, navigate } = page;
  navigate(null);
  await vi.waitUntil(() => attachmentTray.tray.value.attachments.length === 1);
  await attach(page, "this tab's");

  attachmentTray.moveNewTo("three");

  expect(names(attachmentTray.tray.value.attachments)).toEqual(["other tab's"]);
  expect(keeping.keepInComposer.mock.lastCall).toMatchObject([
    null,
    { name: "this tab's" },
    "three",
  ]);
  navigate("three");
  expect(names(attachmentTray.tray.value.attachments)).toEqual(["this tab's"]);
});

test("what is still read for a new conversation follows it, too", async () => {
  const { attachmentTray, navigate } = await opened();
  const { tray } = attachmentTray;
  navigate(null);
  const added = attachmentTray.add([file("slow")]);

  attachmentTray.moveNewTo("three");
  expect(names(tray.value.reading)).toEqual([]);
  navigate("three");
  expect(names(tray.value.reading)).toEqual(["slow"]);
  reading("slow").resolve(read("slow"));
  await added;

  expect(names(tray.value.reading)).toEqual([]);
  expect(names(tray.value.attachments)).toEqual(["slow"]);
  expect(keeping.keepInComposer.mock.lastCall).toMatchObject([null, { name: "slow" }, "three"]);
});

test("attaching is offered if a model takes something", async () => {
  const { attachmentTray, selectedModel } = await opened();
  const { models } = await import("../../src/state/models");
  expect(attachmentTray.isOffered.value).toBe(true);
  expect(attachmentTray.takesOnlyImages.value).toBe(true);
  selectedModel.value = "reads";
  expect(attachmentTray.takesOnlyImages.value).toBe(false);

  models.value = MODELS.slice(2);

  expect(attachmentTray.isOffered.value).toBe(false);
});
