/**
 * What a file is, by its content: its name and the type that the system gives it may be wrong, and
 * the server believes neither.
 *
 * Everything here is a function of bytes, which may be cut off anywhere.
 */

/** The formats that are told apart. The server takes the first five; the rest are converted or named. */
export type Format =
  | "image/png"
  | "image/jpeg"
  | "image/gif"
  | "image/webp"
  | "application/pdf"
  | "image/heic"
  | "image/avif"
  | "image/bmp"
  | "image/tiff";

/** The brands of files as phones take them: HEIF with HEVC in it, one image or several. */
const HEIC_BRANDS = new Set(["heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1"]);
const AVIF_BRANDS = new Set(["avif", "avis"]);

/** Bytes of a file's beginning by which its format is found: `ftyp` lists its brands there. */
export const HEAD_BYTES = 64;

/** The format of a file that begins with `head`; null if it is none of these, such as text. */
export function formatOf(head: Uint8Array): Format | null {
  if (startsWith(head, 0, "\x89PNG\r\n\x1a\n")) return "image/png";
  if (startsWith(head, 0, "\xff\xd8\xff")) return "image/jpeg";
  if (startsWith(head, 0, "GIF87a") || startsWith(head, 0, "GIF89a")) return "image/gif";
  if (startsWith(head, 0, "RIFF") && startsWith(head, 8, "WEBP")) return "image/webp";
  if (startsWith(head, 0, "%PDF-")) return "application/pdf";
  if (startsWith(head, 4, "ftyp")) return isoFormat(head);
  // Its length stands behind the letters, and then four zeros: text that begins with BM has none.
  if (startsWith(head, 0, "BM") && startsWith(head, 6, "\0\0\0\0")) return "image/bmp";
  if (startsWith(head, 0, "II*\0") || startsWith(head, 0, "MM\0*")) return "image/tiff";
  return null;
}

/** The format of a file in ISO's box format, by its brands: AVIF names HEIF's among its own. */
function isoFormat(head: Uint8Array): Format | null {
  const end = Math.min(head.length, unsigned(head, 0));
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += 4) brands.push(text(head, at, 4));
  if (brands.some((brand) => AVIF_BRANDS.has(brand))) return "image/avif";
  return brands.some((brand) => HEIC_BRANDS.has(brand)) ? "image/heic" : null;
}

/** What of an image would be lost, or given away, depending on whether it is drawn anew. */
export interface ImageTraits {
  /** It moves; drawn anew it would stand still. */
  isAnimated: boolean;
  /** It has Exif, XMP or IPTC data: the place where it was taken, and how it is turned. */
  hasMetadata: boolean;
}

/** The traits of an image in one of the formats that the server takes. */
export function traitsOf(bytes: Uint8Array, format: Format): ImageTraits {
  switch (format) {
    case "image/png":
      return pngTraits(bytes);
    case "image/jpeg":
      return { isAnimated: false, hasMetadata: jpegHasMetadata(bytes) };
    case "image/gif":
      return { isAnimated: gifFrames(bytes) > 1, hasMetadata: false };
    case "image/webp":
      return webpTraits(bytes);
    default:
      return { isAnimated: false, hasMetadata: false };
  }
}

const PNG_TEXTS = new Set(["iTXt", "tEXt", "zTXt"]);
/** The name of a text that is XMP, or Exif or IPTC data as ImageMagick keeps them. */
const PNG_METADATA = /^(?:XML:com\.adobe\.xmp|Raw profile type )/;

/** Looks at the names of the chunks. `acTL` stands before the image if there are further frames. */
function pngTraits(bytes: Uint8Array): ImageTraits {
  const traits = { isAnimated: false, hasMetadata: false };
  for (let at = 8; at + 8 <= bytes.length; at += 12 + unsigned(bytes, at)) {
    const name = text(bytes, at + 4, 4);
    if (name === "acTL") traits.isAnimated = true;
    if (name === "eXIf") traits.hasMetadata = true;
    if (PNG_TEXTS.has(name) && PNG_METADATA.test(text(bytes, at + 8, 17)))
      traits.hasMetadata = true;
  }
  return traits;
}

/** Looks for APP1, which has Exif or XMP, or APP13, which has IPTC, before the image's own data. */
function jpegHasMetadata(bytes: Uint8Array): boolean {
  const [filler, app1, app13, startOfScan, endOfImage] = [0xff, 0xe1, 0xed, 0xda, 0xd9];
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    if (marker === app1 || marker === app13) return true;
    if (marker === startOfScan || marker === endOfImage) return false;
    at += marker === filler ? 1 : 2 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
  }
  return false;
}

/** Counts the frames up to two: the second makes it move. */
function gifFrames(bytes: Uint8Array): number {
  const [extension, image] = [0x21, 0x2c];
  let at = 13 + colorTableBytes(bytes[10] ?? 0);
  let frames = 0;
  while (at < bytes.length && frames < 2) {
    if (bytes[at] === extension) {
      at = afterSubBlocks(bytes, at + 2);
    } else if (bytes[at] === image) {
      frames++;
      at = afterSubBlocks(bytes, at + 11 + colorTableBytes(bytes[at + 9] ?? 0));
    } else {
      break;
    }
  }
  return frames;
}

/** Bytes of the colour table that a GIF's flags announce. */
function colorTableBytes(flags: number): number {
  return flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0;
}

/** Skips a GIF's blocks of up to 255 bytes, each after its length, to behind the empty one. */
function afterSubBlocks(bytes: Uint8Array, start: number): number {
  let at = start;
  while (at < bytes.length && bytes[at] !== 0) at += 1 + bytes[at]!;
  return at + 1;
}

function webpTraits(bytes: Uint8Array): ImageTraits {
  const isExtended = startsWith(bytes, 12, "VP8X");
  const flags = isExtended ? (bytes[20] ?? 0) : 0;
  return { isAnimated: (flags & 0x02) !== 0, hasMetadata: (flags & 0x0c) !== 0 };
}

function startsWith(bytes: Uint8Array, at: number, expected: string): boolean {
  return text(bytes, at, expected.length) === expected;
}

/** Bytes as characters of the same numbers; fewer at the end. */
function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}

function unsigned(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset + at, 4).getUint32(0);
}
