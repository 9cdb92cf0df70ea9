/**
 * The browser's storage for the page: `tabStorage` lasts until the tab is closed, `deviceStorage` is
 * shared by all tabs and lasts longer.
 *
 * If storage is full or forbidden, reads return null and writes do nothing; the page works without.
 * What is stored may be damaged, by hand or by another version of the page, and then counts as
 * missing.
 */

import { base } from "../base";

interface BrowserStorage {
  read(name: string): string | null;
  /** The value that was written as JSON; null if it is missing, damaged, or not `isValid`. */
  readJson<T>(name: string, isValid: (value: unknown) => value is T): T | null;
  /** Null removes the item. Returns whether the value is kept. */
  write(name: string, value: string | null): boolean;
  /** The names of the page's own items that begin with `prefix`. */
  names(prefix: string): string[];
  /** Remove the page's own items that begin with `prefix`. */
  clear(prefix: string): void;
}

/** All of the page's own names begin with it; the rest of the storage belongs to other pages. */
const OWN_PREFIX = "headrace.";

/**
 * The storage key for `name`. It contains the server's path, because other paths of the same site
 * may belong to other applications or to another Headrace.
 */
export const scopedName = (name: string): string => (base ? `${name} ${base}` : name);

/** The name that `key` stands for; null if the item is not this page's. */
export function nameOfKey(key: string): string | null {
  const name = key.split(" ", 1)[0] ?? "";
  return name.startsWith(OWN_PREFIX) && scopedName(name) === key ? name : null;
}

/**
 * The name for something that the page keeps for a user, so that no other user of the browser gets
 * it; `user` is null if the server does not authenticate users. Signing out clears what begins with
 * `keptName(user, "")`.
 */
export function keptName(user: string | null, name: string): string {
  return `${OWN_PREFIX}kept/${escapeUser(user)}/${name}`;
}

/** A user's name without the characters that separate the parts of a storage key. */
export function escapeUser(user: string | null): string {
  return (user ?? "").replace(/[\s/%]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}

function browserStorage(getStorage: () => Storage): BrowserStorage {
  /** Where storage is forbidden, even accessing `sessionStorage` throws. */
  function attempt<T>(operation: (storage: Storage) => T): T | null {
    try {
      return operation(getStorage());
    } catch {
      return null;
    }
  }
  const read = (name: string) => attempt((storage) => storage.getItem(scopedName(name)));
  const write = (name: string, value: string | null) => {
    const key = scopedName(name);
    const written = attempt((storage) => {
      if (value === null) storage.removeItem(key);
      else storage.setItem(key, value);
      return true;
    });
    return written ?? false;
  };
  const names = (prefix: string) => {
    const keys = attempt((storage) =>
      Array.from({ length: storage.length }, (_, index) => storage.key(index)),
    );
    return (keys ?? [])
      .map((key) => key && nameOfKey(key))
      .filter((name): name is string => Boolean(name?.startsWith(prefix)));
  };
  return {
    read,
    readJson: (name, isValid) => parseJson(read(name), isValid),
    write,
    names,
    clear: (prefix) => names(prefix).forEach((name) => write(name, null)),
  };
}

/** The value of `text` as JSON; null if that is missing, damaged, or not `isValid`. */
export function parseJson<T>(
  text: string | null,
  isValid: (value: unknown) => value is T,
): T | null {
  try {
    const value: unknown = JSON.parse(text ?? "null");
    return isValid(value) ? value : null;
  } catch {
    return null;
  }
}

/** Whether a value from storage is an object that has texts under these names. */
export function hasTexts<K extends string>(
  value: unknown,
  ...names: K[]
): value is Record<K, string> {
  if (typeof value !== "object" || value === null) return false;
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === "string");
}

export const tabStorage = browserStorage(() => sessionStorage);
export const deviceStorage = browserStorage(() => localStorage);
