/**
 * Attachments that are kept until their question is asked, over reloads and in all tabs.
 *
 * The device's storage has a record of each under its user's name, which is removed when the user
 * signs out; the database has the contents. A content without a record is nobody's, and is removed
 * when a page is loaded, as it is after signing out.
 */

import { deviceStorage, hasTexts, keptName, nameOfKey, parseJson } from "../state/browserStorage";
import { mayKeep } from "../state/session";
import type { Attachment } from "./attachment";
import { contentKeys, getContent, putContent, removeContent } from "./contents";

/** What is stored of an attachment beside its content. */
interface KeptRecord {
  kind: Attachment["kind"];
  name: string;
  /** Where it is: in the composer of this conversation ("" is a new one), or with a sent question. */
  composer: string | null;
  /** When it was attached, in milliseconds. */
  at: number;
}

/** Milliseconds for which an attachment is kept whose question is not asked: a month, as drafts. */
const MAX_AGE_MS = 30 * 24 * 3600 * 1000;

const PREFIX = "attached/";
const recordName = (user: string | null, key: string) => keptName(user, `${PREFIX}${key}`);

function isRecord(value: unknown): value is KeptRecord {
  return hasTexts(value, "kind", "name") && typeof (value as KeptRecord).at === "number";
}

/** The attachments that `user` has on this device, by their keys, the oldest first. */
function records(user: string | null): [string, KeptRecord][] {
  const prefix = recordName(user, "");
  return deviceStorage
    .names(prefix)
    .flatMap((name): [string, KeptRecord][] => {
      const record = deviceStorage.readJson(name, isRecord);
      return record ? [[name.slice(prefix.length), record]] : [];
    })
    .sort(([, one], [, other]) => one.at - other.at);
}

/** Keep an attachment in a conversation's composer. */
export function keepInComposer(
  user: string | null,
  attachment: Attachment,
  conversation: string | null,
): void {
  keep(user, attachment, conversation ?? "");
}

/** Keep an attachment with its question, which is being sent, and in no composer any more. */
export function keepWithQuestion(user: string | null, attachment: Attachment): void {
  keep(user, attachment, null);
}

function keep(
  user: string | null,
  { key, kind, name, content }: Attachment,
  composer: string | null,
): void {
  if (!mayKeep()) return;
  const storedAs = recordName(user, key);
  const isKept = deviceStorage.readJson(storedAs, isRecord) !== null;
  // The record comes first: another tab that is loaded now would remove a content without one.
  deviceStorage.write(storedAs, JSON.stringify({ kind, name, composer, at: Date.now() }));
  if (!isKept) void putContent(key, content);
}

/** Forget attachments whose question was asked, or that were removed. */
export function forget(user: string | null, attachments: Iterable<{ key: string }>): void {
  for (const { key } of attachments) {
    deviceStorage.write(recordName(user, key), null);
    void removeContent(key);
  }
}

/** Forget what is in the composer of a conversation that does not exist any more. */
export function forgetIn(user: string | null, conversation: string): void {
  const inComposer = records(user).filter(([, { composer }]) => composer === conversation);
  forget(
    user,
    inComposer.map(([key]) => ({ key })),
  );
}

/** The key of the attachment that a name in storage stands for, whosever it is; null if it is none's. */
function keyIn(name: string | null): string | null {
  const at = name?.lastIndexOf(`/${PREFIX}`) ?? -1;
  return name === null || at < 0 ? null : name.slice(at + 1 + PREFIX.length);
}

/** In which composer each attachment on this device is. */
function composers(): Map<string, string | null> {
  return new Map(
    deviceStorage.names("").flatMap((name): [string, string | null][] => {
      const key = keyIn(name);
      const record = key === null ? null : deviceStorage.readJson(name, isRecord);
      return key === null || record === null ? [] : [[key, record.composer]];
    }),
  );
}

/**
 * Call `onMoved` when another tab has sent or removed an attachment, or put it elsewhere: `composer` is
 * that of the conversation where it is now ("" is a new one), and null if it is in none.
 */
export function watchOtherTabs(onMoved: (key: string, composer: string | null) => void): void {
  window.addEventListener("storage", ({ key: storageKey, newValue }) => {
    const key = keyIn(nameOfKey(storageKey ?? ""));
    if (key !== null) onMoved(key, parseJson(newValue, isRecord)?.composer ?? null);
  });
  // A page that the browser restores from its back/forward cache has missed all storage events.
  let left = new Map<string, string | null>();
  window.addEventListener("pagehide", () => (left = composers()));
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    const now = composers();
    for (const [key, composer] of left)
      if (now.get(key) !== composer) onMoved(key, now.get(key) ?? null);
  });
}

/** The attachments that were in a conversation's composer when its page was left. */
export async function keptIn(
  user: string | null,
  conversation: string | null,
): Promise<Attachment[]> {
  const keys = records(user)
    .filter(([, record]) => record.composer === (conversation ?? ""))
    .map(([key]) => key);
  return (await Promise.all(keys.map((key) => kept(user, key)))).filter((each) => each !== null);
}

/** Attachments by their keys; null if not all of them are there any more. */
export async function allKept(
  user: string | null,
  keys: readonly string[],
): Promise<Attachment[] | null> {
  const found = await Promise.all(keys.map((key) => kept(user, key)));
  return found.every((each) => each !== null) ? found : null;
}

async function kept(user: string | null, key: string): Promise<Attachment | null> {
  const record = deviceStorage.readJson(recordName(user, key), isRecord);
  const content = record && (await getContent(key));
  return content ? { key, kind: record.kind, name: record.name, content } : null;
}

/** Remove what is nobody's, and what has waited for too long. */
export async function sweep(): Promise<void> {
  const known = new Set<string>();
  for (const name of deviceStorage.names("")) {
    const key = keyIn(name);
    if (key === null) continue;
    const record = deviceStorage.readJson(name, isRecord);
    if (record && Date.now() - record.at < MAX_AGE_MS) known.add(key);
    else deviceStorage.write(name, null);
  }
  const nobodys = (await contentKeys()).filter((key) => !known.has(key));
  await Promise.all(nobodys.map(removeContent));
}
