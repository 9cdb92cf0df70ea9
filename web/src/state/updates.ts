/**
 * Says that the server has another version of the page by now. Its parts have other names, so those of
 * this version that were not loaded yet cannot be loaded any more, though the server can be reached.
 */

import { base } from "../base";
import { showNotice } from "./notice";

/** The script with which a version of the page begins, whose name depends on its content. */
const ENTRY = /assets\/index-[\w-]+\.js/;

let isOutdated = false;

async function check(): Promise<void> {
  isOutdated ||= await isOtherThere();
  if (isOutdated) showNotice("page_outdated");
}

/** Whether the server has another version than this one; not if something else answers. */
async function isOtherThere(): Promise<boolean> {
  const own = ENTRY.exec(document.querySelector<HTMLScriptElement>("script[src]")?.src ?? "")?.[0];
  try {
    const response = await fetch(`${base}/`, { cache: "no-store" });
    const found = response.ok ? ENTRY.exec(await response.text())?.[0] : undefined;
    return own !== undefined && found !== undefined && found !== own;
  } catch {
    return false;
  }
}

/** Begin to watch for parts that cannot be loaded. */
export function watchUpdates(): void {
  window.addEventListener("vite:preloadError", () => void check());
}
