/** What the page's state needs of a browser, for tests that run without one. */

import { vi } from "vitest";
import "vue"; // before `document` is stubbed: it takes a real document or none

/** A browser's Storage. */
export class FakeStorage implements Storage {
  readonly items = new Map<string, string>();
  [name: string]: unknown;
  get length(): number {
    return this.items.size;
  }
  key = (index: number) => [...this.items.keys()][index] ?? null;
  getItem = (name: string) => this.items.get(name) ?? null;
  setItem = (name: string, value: string): void => {
    this.items.set(name, value);
  };
  removeItem = (name: string): void => {
    this.items.delete(name);
  };
  clear = () => this.items.clear();
}

/** A Storage that throws whatever is asked of it, as where a browser forbids it. */
export class ForbiddenStorage extends FakeStorage {
  override get length(): number {
    throw new DOMException("forbidden", "SecurityError");
  }
  override getItem = (): never => {
    throw new DOMException("forbidden", "SecurityError");
  };
  override setItem = this.getItem;
  override removeItem = this.getItem;
}

/** The stubbed globals of a tab. */
export interface FakeTab {
  local: FakeStorage;
  session: FakeStorage;
  window: EventTarget;
  document: EventTarget & { visibilityState: DocumentVisibilityState };
  location: { pathname: string; search: string; replaced: string[]; reloads: number };
}

/** Stub the globals of a tab at `pathname`. Storage may be that of another tab. */
export function openTab(pathname = "/", storage: Partial<FakeTab> = {}): FakeTab {
  const local = storage.local ?? new FakeStorage();
  const session = storage.session ?? new FakeStorage();
  const replaced: string[] = [];
  const location = { pathname, search: "", replaced, reloads: 0 };
  const visibilityState: DocumentVisibilityState = "visible";
  const document = Object.assign(new EventTarget(), { visibilityState });
  const window = new EventTarget();
  const setUrl = (_state: unknown, _title: string, url: string) => {
    [location.pathname = "", location.search = ""] = url.split(/(?=\?)/);
  };
  vi.stubGlobal("localStorage", local);
  vi.stubGlobal("sessionStorage", session);
  vi.stubGlobal("window", window);
  vi.stubGlobal("document", document);
  vi.stubGlobal("history", { pushState: setUrl, replaceState: setUrl });
  vi.stubGlobal("location", {
    ...{ get: () => location, replace: (url: string) => replaced.push(url) },
    reload: () => location.reloads++,
    get pathname() {
      return location.pathname;
    },
    get search() {
      return location.search;
    },
  });
  return { local, session, window, document, location };
}

/** Tell `tab` that another tab has changed an item of the storage that they share. */
export function changeElsewhere(tab: FakeTab, key: string, newValue: string | null): void {
  if (newValue === null) tab.local.removeItem(key);
  else tab.local.setItem(key, newValue);
  tab.window.dispatchEvent(Object.assign(new Event("storage"), { key, newValue }));
}
