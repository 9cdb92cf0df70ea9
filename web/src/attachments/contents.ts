/**
 * The contents of attachments in the browser's database, where megabytes may be kept over a reload.
 *
 * Where there is no database, or no room in it, an attachment lasts as long as its page: nothing here
 * rejects. What may be kept, and for whom, is decided in `keeping.ts`.
 */

import { scopedName } from "../state/browserStorage";

const STORE = "contents";

/** Milliseconds for one operation. Megabytes take less than one second; Safari's may hang for ever. */
const MAX_WAIT_MS = 10_000;

let opened: Promise<IDBDatabase | null> | undefined;

/** The database; null if the browser has none, or forbids it. */
function database(): Promise<IDBDatabase | null> {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(scopedName("headrace.attachments"), 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE);
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}

/** Run one operation in a transaction of its own. Resolves to null if it fails. */
function run<T>(
  mode: IDBTransactionMode,
  operation: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T | null> {
  return new Promise((resolve) => {
    setTimeout(resolve, MAX_WAIT_MS, null);
    void database().then((found) => {
      if (!found) return resolve(null);
      try {
        const transaction = found.transaction(STORE, mode);
        const request = operation(transaction.objectStore(STORE));
        transaction.oncomplete = () => resolve(request.result);
        transaction.onabort = () => resolve(null);
      } catch {
        resolve(null); // the browser has closed the database, to remove it
      }
    });
  });
}

/** Keep a content. Its bytes are copied: Safari loses blobs that it keeps as files. */
export async function putContent(key: string, content: Blob): Promise<void> {
  const kept = { bytes: await content.arrayBuffer(), type: content.type };
  await run("readwrite", (store) => store.put(kept, key));
}

/** A kept content; null if it is not there. */
export async function getContent(key: string): Promise<Blob | null> {
  const kept: unknown = await run("readonly", (store) => store.get(key));
  if (typeof kept !== "object" || kept === null) return null;
  const { bytes, type } = kept as { bytes: unknown; type: unknown };
  return bytes instanceof ArrayBuffer ? new Blob([bytes], { type: String(type) }) : null;
}

/** Remove a content. */
export async function removeContent(key: string): Promise<void> {
  await run("readwrite", (store) => store.delete(key));
}

/** The keys of all contents, whoever attached them. */
export async function contentKeys(): Promise<string[]> {
  return ((await run("readonly", (store) => store.getAllKeys())) ?? []).map(String);
}
