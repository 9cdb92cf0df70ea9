/**
 * Takes out of an image that is sent as it is whatever is not needed to show it: Exif data with the
 * place where it was taken, XMP, comments, the program that wrote it, and what follows its end.
 *
 * The image itself stays byte for byte, so an animation goes on moving. What is needed is listed, and
 * not what is left out, because programs invent parts of their own.
 */

import { startsWith } from "./bytes";
import type { Format } from "./formats";
import { partsOf, UNKNOWN } from "./imageParts";

/** What images consist of: their pixels, frames and colours. */
const NEEDED: Partial<Record<Format, RegExp>> = {
  // A name that begins with a capital letter is needed by definition.
  "image/png":
    /^(?:[A-Z].{3}|tRNS|cHRM|gAMA|iCCP|sBIT|sRGB|cICP|mDCV|cLLI|bKGD|hIST|pHYs|acTL|fcTL|fdAT)$/,
  "image/webp": /^(?:VP8[ LX]|ALPH|ANIM|ANMF|ICCP)$/,
  "image/jpeg": /^(?:[0-9a-f]{1,2}|SOS|APP0 JFIF|APP2 ICC_PROFILE|APP14 Adobe.*)$/,
  // Of extensions those that say how frames follow each other and which colours they have, and texts
  // that are drawn.
  "image/gif": /^(?:head|,|;|!\xf9|!\x01|!\xff(?:NETSCAPE2\.0|ANIMEXTS1\.0|ICCRGBG1012))$/,
};

/** Bytes before the first part. */
const HEAD_BYTES: Partial<Record<Format, number>> = { "image/png": 8, "image/webp": 12 };

/** Flags in a WebP's first part which say that Exif data and XMP follow. */
const WEBP_METADATA = 0x0c;

/** The image without its metadata; null if its parts cannot be told apart. */
export function withoutMetadata(
  bytes: Uint8Array<ArrayBuffer>,
  format: Format,
): Uint8Array<ArrayBuffer> | null {
  const needed = NEEDED[format];
  if (!needed) return null;
  const kept = new Uint8Array(bytes.length);
  let length = Math.min(bytes.length, HEAD_BYTES[format] ?? 0);
  kept.set(bytes.subarray(0, length));
  for (const { name, from, to } of partsOf(bytes, format)) {
    if (name === UNKNOWN) return null;
    if (!needed.test(name)) continue;
    kept.set(bytes.subarray(from, to), length);
    length += to - from;
  }
  if (format === "image/webp") amendHead(kept, length);
  return kept.subarray(0, length);
}

/** Lets a WebP's head say how long the file is, and that it has no metadata. */
function amendHead(webp: Uint8Array, length: number): void {
  if (length < 12) return;
  new DataView(webp.buffer).setUint32(4, length - 8, true);
  if (length > 20 && startsWith(webp, 12, "VP8X")) webp[20]! &= ~WEBP_METADATA;
}
