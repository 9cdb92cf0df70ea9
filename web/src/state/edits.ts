/**
 * Texts of the questions that are being edited. They belong to the tab, as the branch that it shows
 * does, and are kept there over a reload under their user's name.
 */

import { shallowReactive, watch } from "vue";
import { keptName, tabStorage } from "./browserStorage";
import { identityOf, type DisplayedMessage } from "./displayedMessage";
import { user } from "./session";

/** Kept over a reload: more questions nobody edits at a time. */
const MAX_KEPT = 20;

/** The question that is edited; one that was never stored has a key, and is not kept. */
type Edited = Pick<DisplayedMessage, "id" | "key">;

const texts = shallowReactive(new Map<string, string>());
/** The ids of those that are kept, the oldest first. */
const keptIds = new Set<string>();

const storageName = (): string => keptName(user.value, "edits");

/** The text in the editor of a question; undefined if it is not being edited. */
function get(question: Edited): string | undefined {
  return texts.get(identityOf(question));
}

function set(question: Edited, text: string): void {
  texts.set(identityOf(question), text);
  if (question.id === null) return;
  keptIds.add(question.id);
  store();
}

/** The edited question was sent, or its editor closed. */
function remove(question: Edited): void {
  texts.delete(identityOf(question));
  if (question.id !== null && keptIds.delete(question.id)) store();
}

function store(): void {
  const kept = [...keptIds].slice(-MAX_KEPT).map((id) => [id, texts.get(id)]);
  tabStorage.write(storageName(), kept.length ? JSON.stringify(kept) : null);
}

function isTextOfId(value: unknown): value is [string, string] {
  return (
    Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string")
  );
}

/** Go on with what the user was editing before the page was loaded. */
function load(): void {
  const kept = tabStorage.readJson<unknown[]>(storageName(), Array.isArray) ?? [];
  for (const [id, text] of kept.filter(isTextOfId)) {
    texts.set(id, text);
    keptIds.add(id);
  }
}

watch(user, load, { immediate: true, flush: "sync" });

export const edits = { get, set, remove };
