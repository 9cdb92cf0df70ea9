/**
 * Conversations that the user has deleted and the server has not deleted yet.
 *
 * Each waits in the device's storage under its user's name, so that all tabs hide it at once, and so
 * that it is deleted whatever becomes of the tab: by any tab when its time to undo is over, or by the
 * next page that is loaded. Without a connection it goes on waiting. Only ids are stored.
 */

import { computed, shallowRef, watch } from "vue";
import type { Conversation } from "../api";
import { ApiError, browserReconnectTrigger } from "../stream";
import { Backoff, waitForRetry } from "../stream/backoff";
import { deviceStorage, escapeUser, nameOfKey } from "./browserStorage";
import { conversationId, navigate } from "./route";
import { api } from "./server";
import { user } from "./session";

/** Milliseconds for which a deletion can be undone: long enough to read the offer twice. */
const UNDO_MS = 8000;

/** What is left of them at least when the user has looked at the offer and turns away from it. */
const UNDO_AFTER_HOLD_MS = 3000;

/**
 * While the offer is held the deletion is put off by this time, again and again, so that other tabs
 * leave it alone, and carry it out if this one crashes. Timers of hidden tabs run once a minute.
 */
const HOLD_MS = 90_000;
const RENEW_HOLD_MS = 30_000;

/** How much later other tabs carry out a deletion, so that it is usually sent once. */
const OTHER_TABS_MS = 2000;

/** What the list of conversations does when a deletion has come to its end. */
interface Listener {
  /** The server has deleted the conversation, or did not have it any more. */
  onDeleted(id: string): void;
  /** The server has refused, so that the conversation is listed again. */
  onRefused(code: string): void;
  /** Another tab has undone a deletion or carried it out. Resolves when the list says which. */
  onEndedElsewhere(): Promise<void>;
}

type Holder = "pointer" | "focus";

/** The last deletion of this tab. */
interface Offer {
  readonly conversation: Conversation;
  /** Whether the conversation was open, and is opened again if the deletion is undone. */
  readonly wasOpen: boolean;
  /** Whether it cannot be undone any more, and waits for a connection. */
  readonly isWaiting: boolean;
}

const offer = shallowRef<Offer>();
/**
 * The ids of the deleted conversations, and when each is deleted, in milliseconds since 1970;
 * Infinity if another tab has ended its deletion, and it is hidden until the list says how.
 */
const dueTimes = shallowRef<ReadonlyMap<string, number>>(new Map());
const inProgress = new Set<string>();
let listener: Listener | undefined;
let timer: ReturnType<typeof setTimeout> | undefined;
/** What is on the offer and holds it. */
const holders = new Set<Holder>();
let holdTimer: ReturnType<typeof setInterval> | undefined;
/** What was left of the time to undo when it was stopped. */
let heldMs = 0;

const storagePrefix = (): string => `headrace.deletions/${escapeUser(user.value)}/`;

/** The conversation whose deletion can be undone here. */
function undoableId(): string | undefined {
  return offer.value?.isWaiting ? undefined : offer.value?.conversation.id;
}

/** Hide a conversation, and delete it when its time to undo is over. */
function remove(conversation: Conversation): void {
  const last = undoableId();
  const wasOpen = conversationId.value === conversation.id;
  release();
  offer.value = { conversation, wasOpen, isWaiting: false };
  setDue(conversation.id, Date.now() + UNDO_MS);
  if (last !== undefined) void carryOut(last); // there is one offer at a time
  if (wasOpen) navigate(null);
}

/** Undo the deletion that is offered, and go back to its conversation if it was open. */
function undo(): void {
  const undone = offer.value;
  if (!undone || undone.isWaiting) return;
  end(undone.conversation.id);
  if (undone.wasOpen) navigate(undone.conversation.id);
}

/** Undo the deletion of a conversation in which the user goes on to ask, if it is not too late. */
function keep(id: string): void {
  if (dueTimes.value.has(id) && !inProgress.has(id)) end(id);
}

/** Stop the time to undo while the offer has the pointer or the focus. */
function hold(holder: Holder): void {
  const id = undoableId();
  if (id === undefined) return;
  holders.add(holder);
  if (holdTimer !== undefined) return;
  heldMs = (dueTimes.value.get(id) ?? 0) - Date.now();
  const putOff = () => setDue(id, Date.now() + HOLD_MS);
  holdTimer = setInterval(putOff, RENEW_HOLD_MS);
  putOff();
}

/** Let the time to undo go on: when `holder` has left it and no other is there, or whoever is there. */
function release(holder?: Holder): void {
  if (holder === undefined) holders.clear();
  else holders.delete(holder);
  if (holdTimer === undefined || holders.size) return;
  clearInterval(holdTimer);
  holdTimer = undefined;
  const id = undoableId();
  if (id !== undefined) setDue(id, Date.now() + Math.max(heldMs, UNDO_AFTER_HOLD_MS));
}

/** Delete on the server; without a connection, as soon as there is one. */
async function carryOut(id: string): Promise<void> {
  if (inProgress.has(id)) return;
  inProgress.add(id);
  const offered = undoableId() === id ? offer.value : undefined;
  if (offered) {
    offer.value = undefined; // too late to be undone
    release(); // the page may have been left while it was held
  }
  const backoff = new Backoff();
  try {
    // Another tab may carry it out meanwhile.
    while (Number.isFinite(dueTimes.value.get(id))) {
      const error: unknown = await api.remove(id).catch((reason: unknown) => reason);
      if (error === undefined || (error instanceof ApiError && error.status === 404)) {
        end(id);
        listener?.onDeleted(id);
      } else if (error instanceof ApiError && !error.code.startsWith("http_")) {
        end(id);
        listener?.onRefused(error.code);
      } else {
        // The server cannot be reached, or a proxy answered instead of it.
        if (offered) offer.value ??= { ...offered, isWaiting: true };
        await waitForRetry(backoff.nextDelayMs(), undefined, browserReconnectTrigger);
      }
    }
  } finally {
    inProgress.delete(id);
  }
}

/** Forget a deletion: it was carried out, refused or undone. */
function end(id: string): void {
  if (offer.value?.conversation.id === id) {
    offer.value = undefined;
    release();
  }
  deviceStorage.write(storagePrefix() + id, null);
  show(id, undefined);
}

/** Store when a conversation is to be deleted. */
function setDue(id: string, due: number): void {
  deviceStorage.write(storagePrefix() + id, String(due));
  show(id, due);
}

/** Take over when a conversation is to be deleted; undefined if it is not. */
function show(id: string, due: number | undefined): void {
  const changed = new Map(dueTimes.value);
  if (due === undefined) changed.delete(id);
  else changed.set(id, due);
  dueTimes.value = changed;
  schedule();
}

/** Wait for the next deletion that is due. */
function schedule(): void {
  clearTimeout(timer);
  const waiting = [...dueTimes.value].filter(([id]) => !inProgress.has(id));
  const next = Math.min(...waiting.map(([, due]) => due));
  if (Number.isFinite(next)) timer = setTimeout(carryOutDue, next - Date.now());
}

/** Carry out what is due; and wait for the rest. */
function carryOutDue(): void {
  for (const [id, due] of dueTimes.value) if (due <= Date.now()) void carryOut(id);
  schedule();
}

/**
 * When a deletion of another tab, or of a page before this one, is carried out here. What is damaged
 * is due, because the name alone says what is wanted; no clock that was changed puts it off for long.
 */
function dueHere(stored: string | null): number {
  const due = Number(stored) || 0;
  return Math.min(due + OTHER_TABS_MS, Date.now() + HOLD_MS);
}

/** Read the user's deletions from storage. Those that were due before the page was loaded are sent. */
function load(): void {
  const prefix = storagePrefix();
  const names = deviceStorage.names(prefix);
  dueTimes.value = new Map(
    names.map((name) => [name.slice(prefix.length), dueHere(deviceStorage.read(name))]),
  );
  carryOutDue();
}

function onStorage({ key, newValue }: StorageEvent): void {
  const name = nameOfKey(key ?? "");
  if (!name?.startsWith(storagePrefix())) return;
  const id = name.slice(storagePrefix().length);
  if (newValue !== null) show(id, dueHere(newValue));
  else if (dueTimes.value.has(id)) {
    show(id, Infinity);
    void listener?.onEndedElsewhere().then(() => end(id));
  }
}

/** The offer ends with the page. If the request fails, the next page sends it again. */
function onPageHide(): void {
  const id = undoableId();
  if (id === undefined) return;
  setDue(id, 0);
  void carryOut(id);
}

/** Begin with the user's deletions, and tell `theListener` what becomes of each. */
function start(theListener: Listener): void {
  listener = theListener;
  watch(user, load, { immediate: true, flush: "sync" });
  window.addEventListener("storage", onStorage);
  window.addEventListener("pagehide", onPageHide);
  // A page that the browser restores from its back/forward cache has missed all storage events.
  window.addEventListener("pageshow", (event) => event.persisted && load());
}

export const deletions = {
  /** The ids of the user's deleted conversations. */
  ids: dueTimes as Readonly<typeof dueTimes>,
  offer: computed(() => offer.value),
  ...{ start, remove, undo, keep, hold, release },
};
