/**
 * Who is at the page, where the server wants to know: the key that every request carries, and the
 * wait for one when a request was answered 401.
 *
 * A request that is refused waits here for somebody to sign in, and is then sent again by whoever
 * sent it. What is on the page, and on its way, is one user's. If somebody else signs in, or its user
 * signs out, the page is loaded anew, so that nothing of theirs stays in memory or is asked in
 * another's name. Tabs learn of both by the `storage` event: no message has the key in it.
 */

import { ref } from "vue";
import { base } from "../base";
import { ApiError, newIdempotencyKey, type HeaderValues, type Unauthorized } from "../stream";
import { device, placed, tab } from "./kept";

/** A key or token, and whose it is. */
interface Pass {
  key: string;
  user: string;
}

const PLACE = "headrace.key";
/** Written for a moment when a user signs out; the other tabs see who. */
const SIGNED_OUT = "headrace.signed-out";

/** What a header may hold. `fetch` would take anything else for a network that is gone. */
const SENDABLE = /^[\x21-\x7e]+$/;

/** After so long the server counts as not to be reached; a person is looking at the button. */
const PATIENCE_MS = 15_000;

let pass = kept();

/** Whose things are on this page; null where nobody has signed in, or nobody needs to. */
export const user = ref(pass?.user ?? null);

/** The code of the 401 for which a key is being asked for; null while none is. */
export const asksBecause = ref<string | null>(null);

/** Whether the key is kept beyond the tab. */
export const isOnDevice = ref(device.read(PLACE) !== null && tab.read(PLACE) === null);

let entered: Promise<void> | undefined;
let enter: () => void = () => undefined;

/** For a request, and for the same one after a 401; waits while somebody is asked for a key. */
export async function headers(refused?: Unauthorized): Promise<HeaderValues> {
  // Another request's 401 may have come first, and another key since.
  if (refused && refused.headers.Authorization === bearer().Authorization) refuse(refused.error);
  await entered;
  return bearer();
}

/** Come in with a key, kept for this tab or on this device. Throws if the server does not take it. */
export async function signIn(key: string, onDevice: boolean): Promise<void> {
  if (!SENDABLE.test(key)) throw new ApiError(401, "invalid_credentials", "This is no key.");
  const response = await fetch(`${base}/api/v1/me`, {
    headers: { Authorization: `Bearer ${key}` },
    cache: "no-store",
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (!response.ok) throw await ApiError.fromResponse(response);
  const next: Pass = { key, user: (await response.json()).user };
  isOnDevice.value = onDevice;
  (onDevice ? device : tab).write(PLACE, JSON.stringify(next));
  take(next);
}

/** Forget the key, in all tabs, and with it all that is shown. */
export function signOut(): void {
  device.write(PLACE, null);
  // A value of its own each time: only a change is an event.
  device.write(SIGNED_OUT, `${newIdempotencyKey()} ${user.value}`);
  device.write(SIGNED_OUT, null);
  leave();
}

function bearer(): HeaderValues {
  return pass === null ? {} : { Authorization: `Bearer ${pass.key}` };
}

/** The tab's own, else the device's. */
function kept(): Pass | null {
  return JSON.parse(tab.read(PLACE) ?? device.read(PLACE) ?? "null");
}

/** The key opens nothing any more: forget it, and ask for another unless another tab has one. */
function refuse(error: ApiError): void {
  for (const place of [tab, device])
    if (pass && place.read(PLACE) === JSON.stringify(pass)) place.write(PLACE, null);
  pass = null;
  entered ??= new Promise((resolve) => (enter = resolve));
  asksBecause.value = error.code;
  const other = kept();
  if (!other) return;
  isOnDevice.value = true; // this tab's own was the one that was refused
  take(other);
}

function take(next: Pass): void {
  if (user.value !== null && user.value !== next.user) {
    leave(next);
    return; // what waits for a key goes with the page
  }
  pass = next;
  user.value = next.user;
  asksBecause.value = null;
  entered = undefined;
  enter();
}

/** Begin anew, as nobody or as `next`. The old key stays in memory: a last delete may need it. */
function leave(next?: Pass): void {
  tab.clear(); // all of it was the user's
  if (next && !isOnDevice.value) tab.write(PLACE, JSON.stringify(next));
  location.replace(`${base}/`);
}

window.addEventListener("storage", ({ key, newValue }) => {
  if (newValue === null) return;
  if (key === placed(SIGNED_OUT) && newValue.slice(newValue.indexOf(" ") + 1) === user.value)
    leave();
  if (key === placed(PLACE) && asksBecause.value !== null) {
    isOnDevice.value = true;
    take(JSON.parse(newValue));
  }
});

// Brought back from a browser's cache, a page has heard of nothing meanwhile.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && kept()?.key !== pass?.key) location.reload();
});
