/**
 * What the browser keeps for the page: `tab` until the tab is closed, `device` for all tabs and later.
 *
 * Where it keeps nothing (storage that is full, or forbidden to pages), nothing is kept; the page works.
 */

import { base } from "../base";

interface Keeping {
  read(name: string): string | null;
  /** Null takes it away. */
  write(name: string, value: string | null): void;
  clear(): void;
}

/** The name under which it is kept: the rest of a site may be somebody else's, or another server's. */
export const placed = (name: string): string => (base ? `${name} ${base}` : name);

function keeping(storage: () => Storage): Keeping {
  /** Even to name the storage throws where it is forbidden. */
  function tried<T>(work: (there: Storage) => T): T | null {
    try {
      return work(storage());
    } catch {
      return null;
    }
  }
  return {
    read: (name) => tried((there) => there.getItem(placed(name))),
    write: (name, value) => {
      const place = placed(name);
      tried((there) => (value === null ? there.removeItem(place) : there.setItem(place, value)));
    },
    clear: () => {
      tried((there) => {
        for (const place of Object.keys(there)) {
          const name = /^headrace\.\S+/.exec(place)?.[0];
          if (name && placed(name) === place) there.removeItem(place);
        }
      });
    },
  };
}

export const tab = keeping(() => sessionStorage);
export const device = keeping(() => localStorage);
