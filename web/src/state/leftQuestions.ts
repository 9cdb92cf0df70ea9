/**
 * Copies of the questions that tabs are sending, on the device, for when such a tab is closed for good.
 *
 * A tab that is reloaded sends its questions itself. When one is gone, nobody knows whether its user
 * still wants them sent, so the next page puts them back to where they were written. Until then a lock
 * tells that the tab is there. Browsers have no locks for pages without https, but for those of the same
 * machine; there no copies are made.
 */

import { deviceStorage } from "./browserStorage";
import { leftPrefix, mayKeep } from "./session";

/** What gives the locks of this page's questions back, by their keys. */
const own = new Map<string, () => void>();

/** The browser's locks, undefined if it has none here. */
const locks = (): LockManager | undefined => globalThis.navigator?.locks;

/** Keep a copy of a question under its key, until it is dropped or this page ends. */
export function keep(user: string | null, key: string, question: object): void {
  if (own.has(key) || !mayKeep()) return;
  const name = leftPrefix(user) + key;
  const gone = new Promise<void>((release) => own.set(key, release));
  void locks()
    ?.request(name, () => {
      // Under the lock, or a page that is loaded now would take the question for a left one.
      if (own.has(key)) deviceStorage.write(name, JSON.stringify(question));
      return gone;
    })
    .catch(() => undefined); // forbidden, as in a sandbox
}

/** Drop the copy of a question that is not sent any more, or not for this user. */
export function drop(user: string | null, key: string): void {
  deviceStorage.write(leftPrefix(user) + key, null);
  const release = own.get(key);
  own.delete(key);
  release?.();
}

/** What the user's closed tabs have left, as it was stored. No other page gets it again. */
export async function take(user: string | null): Promise<unknown[]> {
  const taken: unknown[] = [];
  for (const name of deviceStorage.names(leftPrefix(user))) {
    const takeOne = (lock: Lock | null) => {
      if (!lock) return; // its tab is there
      taken.push(deviceStorage.readJson(name, (value): value is unknown => value !== null));
      deviceStorage.write(name, null);
    };
    await locks()
      ?.request(name, { ifAvailable: true }, takeOne)
      .catch(() => undefined);
  }
  return taken;
}
