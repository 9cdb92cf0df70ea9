/**
 * The parts of an image's file in their order: a PNG's and a WebP's chunks, a JPEG's segments, a GIF's
 * blocks. Nothing is decoded, and a file may be cut off anywhere: its last part is then shorter.
 *
 * What follows the end of the image is no part of it, such as the film of a photograph that moves.
 */

import { startsWith, textAt, unsignedAt } from "./bytes";
import type { Format } from "./formats";

/** A part of an image's file. */
export interface ImagePart {
  /** As the format names it; see {@link UNKNOWN}. A JPEG's segment has its data's name behind its own. */
  readonly name: string;
  /** Where it begins. */
  readonly from: number;
  /** Where its data begin, behind its name and length. */
  readonly data: number;
  /** Where it ends. */
  readonly to: number;
}

/** The name of what is left of a file that does not go on as its format says. */
export const UNKNOWN = "?";

/**
 * Parts that are told apart, so that a file of nothing but empty ones takes no seconds. A photograph has
 * dozens, and an animation some for each of its frames.
 */
const MAX_PARTS = 100_000;

/** The parts of an image in one of the formats that the server takes; of another one none. */
export function* partsOf(bytes: Uint8Array, format: Format): Iterable<ImagePart> {
  const walk = WALKS[format];
  let count = 0;
  for (const part of walk?.(bytes) ?? []) {
    if (++count > MAX_PARTS) return yield unknown(bytes, part.from);
    yield part;
  }
}

const WALKS: Partial<Record<Format, (bytes: Uint8Array) => Iterable<ImagePart>>> = {
  "image/png": pngParts,
  "image/jpeg": jpegParts,
  "image/gif": gifParts,
  "image/webp": webpParts,
};

function unknown(bytes: Uint8Array, from: number): ImagePart {
  return { name: UNKNOWN, from, data: from, to: bytes.length };
}

/** Chunks of a length, a name of four letters, data, and four bytes to check them. */
function* pngParts(bytes: Uint8Array): Iterable<ImagePart> {
  for (let from = 8, name = ""; name !== "IEND" && from + 8 <= bytes.length;) {
    name = textAt(bytes, from + 4, 4);
    if (!/^[A-Za-z]{4}$/.test(name)) return yield unknown(bytes, from);
    const to = Math.min(bytes.length, from + 12 + unsignedAt(bytes, from));
    yield { name, from, data: from + 8, to };
    from = to;
  }
}

/** Chunks of a name, a length, and an even number of bytes; the file says how long they are together. */
function* webpParts(bytes: Uint8Array): Iterable<ImagePart> {
  const end = bytes.length < 8 ? 0 : Math.min(bytes.length, 8 + unsignedAt(bytes, 4, true));
  for (let from = 12; from + 8 <= end;) {
    const name = textAt(bytes, from, 4);
    if (!/^[ -~]{4}$/.test(name)) return yield unknown(bytes, from);
    const length = unsignedAt(bytes, from + 4, true);
    const to = Math.min(end, from + 8 + length + (length % 2));
    yield { name, from, data: from + 8, to };
    from = to;
  }
}

/** Markers of a JPEG, behind 0xff. */
const [START_OF_IMAGE, END_OF_IMAGE, START_OF_SCAN, FILLER] = [0xd8, 0xd9, 0xda, 0xff];
const [APP0, COMMENT, FIRST_RESTART] = [0xe0, 0xfe, 0xd0];

/** Segments of a marker, a length and data; behind the start of a scan are the scan's pixels. */
function* jpegParts(bytes: Uint8Array): Iterable<ImagePart> {
  for (let from = 0, marker = 0; marker !== END_OF_IMAGE && from + 2 <= bytes.length;) {
    if (bytes[from] !== 0xff) return yield unknown(bytes, from);
    marker = bytes[from + 1]!;
    if (marker === FILLER) {
      from++;
      continue;
    }
    const isAlone = marker >= FIRST_RESTART && marker <= END_OF_IMAGE;
    const length = isAlone ? 0 : ((bytes[from + 2] ?? 0) << 8) | (bytes[from + 3] ?? 0);
    const next = from + 2 + length;
    const to = marker === START_OF_SCAN ? endOfScan(bytes, next) : Math.min(bytes.length, next);
    yield { name: jpegName(bytes, from, marker), from, data: from + 4, to };
    from = to;
  }
}

function jpegName(bytes: Uint8Array, from: number, marker: number): string {
  if (marker === START_OF_SCAN) return "SOS";
  if (marker === COMMENT) return "COM";
  if (marker < APP0 || marker > APP0 + 15) return marker.toString(16);
  // Its data begin with what they are, such as "ICC_PROFILE" or "http://ns.adobe.com/xap/1.0/".
  return `APP${marker - APP0} ${/^[\w.:/-]*/.exec(textAt(bytes, from + 4, 32))?.[0]}`;
}

/** The next marker behind a scan's pixels, in which 0xff is followed by 0 or marks a restart. */
function endOfScan(bytes: Uint8Array, start: number): number {
  let at = bytes.indexOf(0xff, start);
  while (at >= 0 && at + 1 < bytes.length) {
    const marker = bytes[at + 1]!;
    const isPixel = marker === 0 || (marker >= FIRST_RESTART && marker < START_OF_IMAGE);
    if (!isPixel && marker !== FILLER) return at;
    at = bytes.indexOf(0xff, at + (isPixel ? 2 : 1));
  }
  return bytes.length;
}

/** How a GIF's blocks begin. */
const [EXTENSION, IMAGE, APPLICATION] = [0x21, 0x2c, 0xff];

/**
 * The head, which has the table of colours, and then blocks, of which an extension's name has the
 * character of its kind and that of its application. Behind anything else browsers show no more.
 */
function* gifParts(bytes: Uint8Array): Iterable<ImagePart> {
  let from = Math.min(bytes.length, 13 + colorTableBytes(bytes[10] ?? 0));
  yield { name: "head", from: 0, data: 0, to: from };
  while (bytes[from] === EXTENSION || bytes[from] === IMAGE) {
    const isImage = bytes[from] === IMAGE;
    const data = from + (isImage ? 11 + colorTableBytes(bytes[from + 9] ?? 0) : 2);
    const to = afterSubBlocks(bytes, data);
    const name = isImage ? "," : textAt(bytes, from, 2);
    const application = bytes[from + 1] === APPLICATION ? textAt(bytes, from + 3, 11) : "";
    yield { name: isImage ? name : name + application, from, data, to };
    from = to;
  }
  if (startsWith(bytes, from, ";")) yield { name: ";", from, data: from + 1, to: from + 1 };
}

/** Bytes of the colour table that a GIF's flags announce. */
function colorTableBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** Skips a GIF's blocks of up to 255 bytes, each after its length, to behind the empty one. */
function afterSubBlocks(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== 0) at += 1 + bytes[at]!;
  return Math.min(bytes.length, at + 1);
}
