/**
 * The signed-in user and their key, and the wait for a key after a request was answered 401.
 *
 * Code that sends a rejected request waits here until a user has signed in, and sends it again.
 * Everything on the page belongs to one user. When another user signs in, or the user signs out, the
 * page is reloaded, so that nothing of theirs stays in memory or is sent in another's name. Other
 * tabs learn of both by the `storage` event; no message between tabs contains the key.
 */

import { ref } from "vue";
import { base } from "../base";
import { ApiError, newIdempotencyKey, type HeaderValues, type Unauthorized } from "../stream";
import {
  deviceStorage,
  hasTexts,
  keptName,
  parseJson,
  scopedName,
  tabStorage,
} from "./browserStorage";

/** An API key or access token and its user, with the field names that they have in storage. */
interface Credentials {
  key: string;
  user: string;
}

const KEY_NAME = "headrace.key";
/** Written for a moment when a user signs out, so that other tabs see who. */
const SIGNED_OUT_NAME = "headrace.signed-out";

/** The characters that a header may contain. With others `fetch` throws as if it were offline. */
const VALID_KEY = /^[\x21-\x7e]+$/;

/** Milliseconds for the server to check a key while its user waits at the sign-in button. */
const SIGN_IN_TIMEOUT_MS = 15_000;

let credentials = storedCredentials();

/** The user to whom everything on the page belongs; null if no user has signed in or needs to. */
export const user = ref(credentials?.user ?? null);

/** The code of the 401 because of which the page asks for a key; null while it does not. */
export const signInReason = ref<string | null>(null);

/** Whether the key is kept on the device, and not only until the tab is closed. */
export const isRemembered = ref(
  tabStorage.readJson(KEY_NAME, areCredentials) === null &&
    deviceStorage.readJson(KEY_NAME, areCredentials) !== null,
);

/** Resolves when a user has signed in; undefined while the page asks for no key. */
let signedIn: Promise<void> | undefined;
let resolveSignedIn: () => void = () => undefined;

/** The headers of a request, or of its retry after a 401. Waits while the page asks for a key. */
export async function headers(rejected?: Unauthorized): Promise<HeaderValues> {
  // The key may have been replaced already, because of another request's 401.
  if (rejected && rejected.headers.Authorization === authorization().Authorization)
    discardKey(rejected.error);
  await signedIn;
  return authorization();
}

/** Sign in with a key and keep it for this tab or on this device. Throws if the server rejects it. */
export async function signIn(key: string, remember: boolean): Promise<void> {
  if (!VALID_KEY.test(key)) throw new ApiError(401, "invalid_credentials", "This is not a key.");
  const response = await fetch(`${base}/api/v1/me`, {
    headers: { Authorization: `Bearer ${key}` },
    cache: "no-store",
    signal: AbortSignal.timeout(SIGN_IN_TIMEOUT_MS),
  });
  if (!response.ok) throw await ApiError.fromResponse(response);
  const next: Credentials = { key, user: (await response.json()).user };
  isRemembered.value = remember;
  (remember ? deviceStorage : tabStorage).write(KEY_NAME, JSON.stringify(next));
  useCredentials(next);
}

/** Whether the user has signed out, so that nothing of theirs is kept any more. */
let isSignedOut = false;

/** Whether what the user has written may be kept for the next page. */
export const mayKeep = (): boolean => !isSignedOut;

/** How the names of the copies begin that are made of the questions that a user's tabs are sending. */
export const leftPrefix = (owner: string | null): string => keptName(owner, "left/");

/** Forget the key in all tabs, and with it everything that they show and keep. */
export function signOut(): void {
  isSignedOut = true;
  deviceStorage.write(KEY_NAME, null);
  deviceStorage.clear(keptName(user.value, ""));
  // The value differs each time, because only a change of the value causes a `storage` event.
  deviceStorage.write(SIGNED_OUT_NAME, `${newIdempotencyKey()} ${user.value}`);
  deviceStorage.write(SIGNED_OUT_NAME, null);
  startOver();
}

function authorization(): HeaderValues {
  return credentials === null ? {} : { Authorization: `Bearer ${credentials.key}` };
}

/** The credentials that are kept for the tab, or else those on the device. */
function storedCredentials(): Credentials | null {
  return (
    tabStorage.readJson(KEY_NAME, areCredentials) ??
    deviceStorage.readJson(KEY_NAME, areCredentials)
  );
}

/** Whether a value from storage can be used; a key that no header may contain cannot. */
function areCredentials(value: unknown): value is Credentials {
  return hasTexts(value, "key", "user") && VALID_KEY.test(value.key) && value.user !== "";
}

/** Forget a key that the server rejected, and ask for another one unless another tab has one. */
function discardKey(error: ApiError): void {
  for (const storage of [tabStorage, deviceStorage])
    if (credentials && storage.read(KEY_NAME) === JSON.stringify(credentials))
      storage.write(KEY_NAME, null);
  credentials = null;
  signedIn ??= new Promise((resolve) => (resolveSignedIn = resolve));
  signInReason.value = error.code;
  const other = storedCredentials();
  if (!other) return;
  isRemembered.value = true; // the tab's own key is the one that was rejected
  useCredentials(other);
}

function useCredentials(next: Credentials): void {
  if (user.value !== null && user.value !== next.user) {
    startOver(next);
    return; // requests that wait for a key end with the page
  }
  credentials = next;
  user.value = next.user;
  signInReason.value = null;
  signedIn = undefined;
  resolveSignedIn();
}

/**
 * Reload the page for `next`, or for nobody. The old key stays in memory until then: a delete that
 * is sent when the page is left needs it.
 */
function startOver(next?: Credentials): void {
  tabStorage.clear(""); // everything in it belongs to the old user
  deviceStorage.clear(leftPrefix(user.value)); // copies of what was in it
  if (next && !isRemembered.value) tabStorage.write(KEY_NAME, JSON.stringify(next));
  location.replace(`${base}/`);
}

window.addEventListener("storage", ({ key, newValue }) => {
  if (newValue === null) return;
  const isSignOut = key === scopedName(SIGNED_OUT_NAME);
  if (isSignOut && newValue.slice(newValue.indexOf(" ") + 1) === user.value) {
    isSignedOut = true;
    startOver();
  }
  const next = key === scopedName(KEY_NAME) ? parseJson(newValue, areCredentials) : null;
  if (next && signInReason.value !== null) {
    isRemembered.value = true;
    useCredentials(next);
  }
});

// A page that the browser restores from its back/forward cache has missed all storage events.
window.addEventListener("pageshow", (event) => {
  if (event.persisted && storedCredentials()?.key !== credentials?.key) location.reload();
});
