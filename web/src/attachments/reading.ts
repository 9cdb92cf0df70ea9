/**
 * Makes attachments of the files that users choose.
 *
 * What is wrong with one is found here, before it is sent. This module and those that it needs are
 * loaded when the first file is chosen.
 */

import { AttachmentRefused, MAX_READ_BYTES, type Attachment } from "./attachment";
import { formatOf, HEAD_BYTES, traitsOf, type Format, type ImageTraits } from "./formats";
import { decodeImage, drawAnew, fittingSize, MAX_LOSSLESS_BYTES } from "./scaling";
import { withoutMetadata } from "./stripping";
import { decodeText } from "./text";

/** Images that the server takes as they are. */
const SENT_AS_THEY_ARE = new Set<Format>(["image/png", "image/jpeg", "image/gif", "image/webp"]);
/** Images that are photographs: drawn anew without loss they would be larger than before. */
const PHOTOGRAPHS = new Set<Format>(["image/jpeg", "image/heic", "image/avif"]);

/** The length that the API allows for a file's name. */
const MAX_NAME_CHARS = 255;

export interface ReadingOptions {
  /** Bytes of one file that the server takes; null if that is not known. */
  maxBytes: number | null;
  /** Whether a text that is not UTF-8 is likely to be Chinese. */
  readsChinese: boolean;
}

/** What a file becomes; it gets its key where it is put. */
export type ReadFile = Omit<Attachment, "key">;

/** Read, check and convert a file. Rejects with AttachmentRefused. */
export async function readAttachment(file: File, options: ReadingOptions): Promise<ReadFile> {
  if (file.size > MAX_READ_BYTES) throw new AttachmentRefused("too_large");
  const format = formatOf(await bytesOf(file.slice(0, HEAD_BYTES)));
  const attachment = format?.startsWith("image/")
    ? await readImage(file, format)
    : await readFile(file, format, options);
  if (options.maxBytes !== null && attachment.content.size > options.maxBytes)
    throw new AttachmentRefused("too_large");
  return attachment;
}

async function readImage(file: File, format: Format): Promise<ReadFile> {
  const bytes = await bytesOf(file);
  const traits = traitsOf(bytes, format);
  const image = await decodeImage(file).catch(() => {
    throw new AttachmentRefused(format === "image/heic" ? "heic" : "broken_image");
  });
  try {
    const stays = mayStay(bytes, format, traits, image);
    const stripped = stays ? withoutMetadata(bytes, format) : null;
    // Drawn anew it would stand still, and as it is it may tell where it was taken.
    if (stripped === null && traits.isAnimated) throw new AttachmentRefused("broken_image");
    const content = stripped
      ? new Blob([stripped], { type: format })
      : await drawAnew(image, !PHOTOGRAPHS.has(format));
    return { kind: "image", name: file.name, content };
  } finally {
    image.close();
  }
}

/** Whether an image is sent as it is but for its metadata: it moves, or it is small and upright. */
function mayStay(
  bytes: Uint8Array,
  format: Format,
  traits: ImageTraits,
  image: ImageBitmap,
): boolean {
  if (!SENT_AS_THEY_ARE.has(format)) return false;
  if (traits.isAnimated) return true;
  const isFitting = fittingSize(image.width, image.height).width === image.width;
  return isFitting && !traits.hasMetadata && bytes.length <= MAX_LOSSLESS_BYTES;
}

async function readFile(
  file: File,
  format: Format | null,
  { maxBytes, readsChinese }: ReadingOptions,
): Promise<ReadFile> {
  if (file.size === 0) throw new AttachmentRefused("empty");
  // UTF-16 takes up to twice the bytes that UTF-8 takes of the same text.
  if (maxBytes !== null && file.size > 2 * maxBytes) throw new AttachmentRefused("too_large");
  const name = fittingName(file.name);
  const bytes = await bytesOf(file);
  if (format === "application/pdf")
    return { kind: "file", name, content: new Blob([bytes], { type: format }) };
  const text = decodeText(bytes, readsChinese);
  if (text === null) throw new AttachmentRefused("unsupported");
  if (text === "") throw new AttachmentRefused("empty");
  return { kind: "file", name, content: new Blob([text], { type: "text/plain" }) };
}

/**
 * The bytes as they are now: a file on a disk may change until it is sent. Reading fails for a folder,
 * for a file that has changed since it was chosen, and where the system forbids it.
 */
async function bytesOf(file: Blob): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch {
    throw new AttachmentRefused("unreadable");
  }
}

/** The name as the API takes it: printable, and cut before its ending if it is too long. */
export function fittingName(name: string): string {
  const printable = [...name.replace(/[\x00-\x1f\x7f]/g, "")];
  if (printable.length <= MAX_NAME_CHARS) return printable.join("") || "file";
  const ending = /\.[^.]{1,16}$/.exec(name)?.[0] ?? "";
  return printable.slice(0, MAX_NAME_CHARS - ending.length).join("") + ending;
}
