/** The contents of images and files, as addresses that elements of this page can load. */

import { api } from "./server";

/**
 * Load a file with the user's credentials, which an `<img>` or a link cannot send. Whoever asks for
 * the address revokes it, or the content stays in memory.
 */
export async function fileAddress(id: string): Promise<string> {
  return URL.createObjectURL(await api.file(id));
}
