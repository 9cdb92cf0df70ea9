/**
 * What the browser keeps for the page: `tab` until the tab is closed, `device` for all tabs and later.
 *
 * Where it keeps nothing (storage that is full, or forbidden to pages), nothing is kept; the page works.
 */

interface Keeping {
  read(name: string): string | null;
  /** Null takes it away. */
  write(name: string, value: string | null): void;
  clear(): void;
}

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
    read: (name) => tried((there) => there.getItem(name)),
    write: (name, value) => {
      tried((there) => (value === null ? there.removeItem(name) : there.setItem(name, value)));
    },
    clear: () => void tried((there) => there.clear()),
  };
}

export const tab = keeping(() => sessionStorage);
export const device = keeping(() => localStorage);
