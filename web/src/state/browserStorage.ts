/**
 * The browser's storage for the page: `tabStorage` lasts until the tab is closed, `deviceStorage` is
 * shared by all tabs and lasts longer.
 *
 * If storage is full or forbidden, reads return null and writes do nothing; the page works without.
 */

import { base } from "../base";

interface BrowserStorage {
  read(name: string): string | null;
  /** Null removes the item. */
  write(name: string, value: string | null): void;
  clear(): void;
}

/**
 * The storage key for `name`. It contains the server's path, because other paths of the same site
 * may belong to other applications or to another Headrace.
 */
export const scopedName = (name: string): string => (base ? `${name} ${base}` : name);

function browserStorage(getStorage: () => Storage): BrowserStorage {
  /** Where storage is forbidden, even accessing `sessionStorage` throws. */
  function attempt<T>(operation: (storage: Storage) => T): T | null {
    try {
      return operation(getStorage());
    } catch {
      return null;
    }
  }
  return {
    read: (name) => attempt((storage) => storage.getItem(scopedName(name))),
    write: (name, value) => {
      const key = scopedName(name);
      attempt((storage) =>
        value === null ? storage.removeItem(key) : storage.setItem(key, value),
      );
    },
    clear: () => {
      attempt((storage) => {
        for (const key of Object.keys(storage)) {
          const name = /^headrace\.\S+/.exec(key)?.[0];
          if (name && scopedName(name) === key) storage.removeItem(key);
        }
      });
    },
  };
}

export const tabStorage = browserStorage(() => sessionStorage);
export const deviceStorage = browserStorage(() => localStorage);
