/**
 * What the user is about to send in each conversation, kept on the device until it is sent: over
 * reloads, in all tabs, and while the page asks for a key.
 *
 * The text in a tab is that of the last change in any tab. Everything is kept under the user's name,
 * so that the next user of the browser gets none of it, and removed when the user signs out.
 */

import { shallowRef, watch, type ShallowRef } from "vue";
import { deviceStorage, hasTexts, keptName, nameOfKey } from "./browserStorage";
import { user } from "./session";

/**
 * `question`: the text in the composer. `model`: the model that was chosen for it. `unsaved`: the
 * system prompt in the dialog. `system`, `parameters`: what was saved for a new conversation, the
 * latter as JSON.
 */
export type DraftKind = "question" | "model" | "unsaved" | "system" | "parameters";

/** A conversation's id; null for the new one. */
type Place = string | null;

/**
 * Kept per user. Browsers have room for five million characters, and people do not come back to the
 * hundredth text that they have left.
 */
const MAX_KEPT = 100;

/** A draft with the field names that it has in storage, and the time of its last change in ms. */
interface Stored {
  text: string;
  at: number;
}

/** The drafts that this tab has shown or changed, by their names in storage; as many as it opened. */
const texts = new Map<string, ShallowRef<string>>();
/** The names of those that another tab changed last. */
const changedElsewhere = new Set<string>();

/** Where a question was written before the page knew that there are users, and asked for a key. */
const writtenBefore = new Set<Place>();

const prefix = (): string => keptName(user.value, "draft/");
const nameOf = (kind: DraftKind, place: Place): string => `${prefix()}${place ?? ""}/${kind}`;

function isStored(value: unknown): value is Stored {
  return hasTexts(value, "text") && typeof (value as Partial<Stored>).at === "number";
}

function stored(name: string): Stored | null {
  return deviceStorage.readJson(name, isStored);
}

function refOf(name: string): ShallowRef<string> {
  let text = texts.get(name);
  if (!text) texts.set(name, (text = shallowRef(stored(name)?.text ?? "")));
  return text;
}

/** The draft of a kind in a conversation; "" if there is none. */
function read(kind: DraftKind, place: Place): string {
  return refOf(nameOf(kind, place)).value;
}

/** Keep a draft; "" removes it. */
function write(kind: DraftKind, place: Place, text: string): void {
  const name = nameOf(kind, place);
  if (user.value === null && kind === "question") writtenBefore.add(place);
  changedElsewhere.delete(name);
  refOf(name).value = text;
  if (!text) {
    deviceStorage.write(name, null);
    return;
  }
  const others = deviceStorage.names(prefix()).filter((each) => each !== name);
  const oldestFirst = () =>
    others.toSorted((one, two) => (stored(one)?.at ?? 0) - (stored(two)?.at ?? 0));
  const dropped = others.length < MAX_KEPT ? [] : oldestFirst().slice(0, 1 - MAX_KEPT);
  for (const each of dropped) deviceStorage.write(each, null);
  const value = JSON.stringify({ text, at: Date.now() } satisfies Stored);
  if (deviceStorage.write(name, value)) return;
  // Storage is full, perhaps of older drafts; or forbidden, and then this finds none.
  const removed: [string, string | null][] = [];
  for (const each of oldestFirst()) {
    removed.push([each, deviceStorage.read(each)]);
    deviceStorage.write(each, null);
    if (deviceStorage.write(name, value)) return;
  }
  // It is larger than all storage, such as a log that was pasted: no draft is lost for it.
  for (const [each, text] of removed) deviceStorage.write(each, text);
}

/** Put a question that was not sent back into the composer, before what was written there since. */
function putBack(place: Place, question: string): void {
  write("question", place, [question, read("question", place)].filter(Boolean).join("\n\n"));
}

/**
 * The new conversation has got its id: what was written in this tab since its question was sent
 * follows that. What another tab has written is the beginning of another conversation.
 */
function moveNewTo(id: string): void {
  if (changedElsewhere.has(nameOf("question", null))) return;
  const text = read("question", null);
  if (!text) return;
  write("question", null, "");
  putBack(id, text);
}

/** Remove the drafts of a conversation that does not exist any more. */
function drop(id: string): void {
  for (const name of deviceStorage.names(`${prefix()}${id}/`)) {
    deviceStorage.write(name, null);
    refOf(name).value = "";
  }
}

/** What was written before signing in is the user's, and no longer nobody's. */
function takeOver(): void {
  for (const place of writtenBefore) {
    const name = `${keptName(null, "draft/")}${place ?? ""}/question`;
    const text = refOf(name).value;
    refOf(name).value = "";
    deviceStorage.write(name, null);
    if (text) putBack(place, text);
  }
  writtenBefore.clear();
}

watch(user, (signedIn) => signedIn !== null && takeOver(), { flush: "sync" });

window.addEventListener("storage", ({ key }) => {
  const name = nameOfKey(key ?? "");
  const text = name === null ? undefined : texts.get(name);
  if (name === null || !text) return;
  changedElsewhere.add(name);
  text.value = stored(name)?.text ?? "";
});

// A page that the browser restores from its back/forward cache has missed all storage events.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const [name, text] of texts) text.value = stored(name)?.text ?? "";
});

export const drafts = { read, write, putBack, moveNewTo, drop };
