/** The contents of images and files, as addresses that elements of this page can load. */

import type { Attachment } from "../attachments/attachment";
import { newIdempotencyKey } from "../stream";
import type { DisplayedBlock } from "./displayedMessage";
import { api } from "./server";

/** An image or a file whose content is stored by the server, or was attached on this page. */
export interface StoredContent {
  file_id?: string | null;
  content?: Blob;
}

/** Whether a block's content is stored; else it is on another host. */
export function isStored({ file_id, content }: StoredContent): boolean {
  return content !== undefined || typeof file_id === "string";
}

/** Load a content with the user's credentials, unless it is here already. */
async function contentOf({ file_id, content }: StoredContent): Promise<Blob> {
  return content ?? (await api.file(file_id ?? ""));
}

/**
 * An address for a content, which an `<img>` or a link could not load with the user's credentials.
 * Whoever asks for the address revokes it, or the content stays in memory.
 */
export async function fileAddress(block: StoredContent): Promise<string> {
  return URL.createObjectURL(await contentOf(block));
}

/** Whether a question can be asked again in other words: all that it has besides text is stored. */
export function isEditable(blocks: readonly DisplayedBlock[]): boolean {
  return blocks.every(
    (block) =>
      block.type === "text" ||
      ((block.type === "image" || block.type === "file") && isStored(block)),
  );
}

/** A question's images and files, to be sent again. Rejects if they cannot be loaded. */
export async function attachmentsOf(blocks: readonly DisplayedBlock[]): Promise<Attachment[]> {
  const attached = blocks.filter((block) => block.type === "image" || block.type === "file");
  return Promise.all(
    attached.map(async (block) => ({
      key: newIdempotencyKey(),
      kind: block.type,
      name: block.type === "file" ? (block.name ?? "file") : "image",
      content: await contentOf(block),
    })),
  );
}
