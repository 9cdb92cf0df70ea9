/** The attachments in the composer, each conversation's own, until their question is sent. */

import { computed, shallowReactive, shallowRef } from "vue";
import { limits, loadLimits } from "../state/limits";
import { models, selectedModel } from "../state/models";
import { conversationId } from "../state/route";
import { user } from "../state/session";
import { newIdempotencyKey } from "../stream";
import { AttachmentRefused, type Attachment, type RefusalReason } from "./attachment";
import { obstacleOf, type Obstacle } from "./checking";
import * as keeping from "./keeping";

/** A file that was chosen and cannot be attached. */
export interface RefusedFile {
  readonly key: string;
  readonly name: string;
  readonly reason: RefusalReason;
}

/** A file that is being read. */
interface ReadingFile {
  readonly key: string;
  readonly name: string;
}

/** What the composer of one conversation holds. */
interface Tray {
  /** Null is a new one. */
  readonly conversation: string | null;
  attachments: readonly Attachment[];
  reading: readonly ReadingFile[];
  refused: readonly RefusedFile[];
}

/**
 * Files that are taken of one choice: a folder's whole content, dropped by mistake, would take minutes
 * to read. Beyond the server's limit the composer says so.
 */
const MAX_CHOSEN = 100;

/** The keys of attachments that were found in storage, where another tab may have put them. */
const restoredKeys = new Set<string>();

/** The trays that were needed, by user and conversation. */
const trays = new Map<string, Tray>();

/** The tray of a conversation; null is a new one. */
function trayOf(conversation: string | null): Tray {
  const id = JSON.stringify([user.value, conversation]);
  let tray = trays.get(id);
  if (!tray) {
    tray = shallowReactive<Tray>({ conversation, attachments: [], reading: [], refused: [] });
    trays.set(id, tray);
    void restore(tray, conversation);
  }
  return tray;
}

/** Put back what was in the composer when the page was left. */
async function restore(tray: Tray, conversation: string | null): Promise<void> {
  const kept = await keeping.keptIn(user.value, conversation);
  const present = new Set(tray.attachments.map(({ key }) => key));
  const restored = kept.filter(({ key }) => !present.has(key));
  for (const { key } of restored) restoredKeys.add(key);
  tray.attachments = [...restored, ...tray.attachments];
  if (kept.length) void loadLimits();
}

/** The tray of the open conversation. */
const tray = computed(() => trayOf(conversationId.value));

/** What the selected model takes besides text; null if that is not known. */
const inputKinds = computed(
  () =>
    models.value.find((model) =>
      selectedModel.value === null ? model.default : model.id === selectedModel.value,
    )?.input_kinds ?? null,
);

/** What keeps the attachments from being sent. */
const obstacle = computed<Obstacle | null>(() =>
  obstacleOf(tray.value.attachments, inputKinds.value, limits.value),
);

/** Whether some model takes images or files, so that it makes sense to offer them. */
const isOffered = computed(() =>
  models.value.some(({ input_kinds: kinds }) => kinds.includes("image") || kinds.includes("file")),
);

/** Whether the selected model takes only images, so that others need not be offered for choice. */
const takesOnlyImages = computed(
  () => inputKinds.value?.includes("image") === true && !inputKinds.value.includes("file"),
);

/** How many files were attached last, for those who do not see them appear. */
const addedCount = shallowRef(0);

/** Read files, one after the other, and put them into the open conversation's composer. */
async function add(files: Iterable<File>): Promise<void> {
  const first = tray.value;
  const chosen = [...files].slice(0, MAX_CHOSEN).map((file) => ({
    ...{ file, key: newIdempotencyKey(), name: file.name },
  }));
  addedCount.value = 0;
  first.refused = [];
  first.reading = [...first.reading, ...chosen];
  await loadLimits();
  // Decoded images take tens of megabytes each, so there is one at a time.
  for (const { file, key, name } of chosen) {
    const found = await read(file, key);
    // A new conversation may have got its id while it was read.
    const target = [...trays.values()].find(({ reading }) =>
      reading.some((each) => each.key === key),
    );
    if (!target) continue; // it was removed
    target.reading = target.reading.filter((each) => each.key !== key);
    if ("reason" in found) {
      target.refused = [...target.refused, { key, name, reason: found.reason }];
    } else {
      target.attachments = [...target.attachments, found];
      addedCount.value++;
      keeping.keepInComposer(user.value, found, target.conversation);
    }
  }
}

/** The attachment that a file becomes, or why it cannot be attached. */
async function read(file: File, key: string): Promise<Attachment | { reason: RefusalReason }> {
  const reading = await import("./reading").catch(() => null);
  if (reading === null) return { reason: "unreachable" };
  try {
    const maxBytes = limits.value?.max_file_bytes ?? null;
    const readsChinese = navigator.languages.some((language) => language.startsWith("zh"));
    return { key, ...(await reading.readAttachment(file, { maxBytes, readsChinese })) };
  } catch (error) {
    // What else fails is the drawing, where memory runs out.
    return { reason: error instanceof AttachmentRefused ? error.reason : "unreadable" };
  }
}

/** Take an attachment, or a file that is still read, out of the open conversation's composer. */
function remove(key: string): void {
  tray.value.attachments = tray.value.attachments.filter((each) => each.key !== key);
  tray.value.reading = tray.value.reading.filter((each) => each.key !== key);
  keeping.forget(user.value, [{ key }]);
}

/** Empty the open conversation's composer. What was in it is kept until its question is asked. */
function take(): readonly Attachment[] {
  const taken = tray.value.attachments;
  tray.value.attachments = [];
  tray.value.refused = [];
  for (const each of taken) {
    restoredKeys.delete(each.key);
    keeping.keepWithQuestion(user.value, each);
  }
  return taken;
}

/** Put attachments whose question was not asked back into its conversation's composer. */
function putBack(conversation: string | null, attachments: readonly Attachment[]): void {
  const target = trayOf(conversation);
  target.attachments = [...attachments, ...target.attachments];
  for (const each of attachments) keeping.keepInComposer(user.value, each, conversation);
}

/**
 * The new conversation has got its id: what was attached in this tab since its question was sent
 * follows that. What was found in storage may be another tab's, for another new conversation.
 */
function moveNewTo(id: string): void {
  const [from, to] = [trayOf(null), trayOf(id)];
  const moved = from.attachments.filter(({ key }) => !restoredKeys.has(key));
  for (const each of moved) keeping.keepInComposer(user.value, each, id);
  to.attachments = [...to.attachments, ...moved];
  to.reading = [...to.reading, ...from.reading];
  to.refused = from.refused;
  from.attachments = from.attachments.filter(({ key }) => restoredKeys.has(key));
  from.reading = from.refused = [];
}

// What another tab has sent would be sent again from here, with the next question.
keeping.watchOtherTabs((key, composer) => {
  for (const each of trays.values())
    if (composer !== (each.conversation ?? ""))
      each.attachments = each.attachments.filter((attachment) => attachment.key !== key);
});

export const attachmentTray = {
  ...{ tray, obstacle, isOffered, takesOnlyImages, addedCount },
  ...{ add, remove, take, putBack, moveNewTo },
};
