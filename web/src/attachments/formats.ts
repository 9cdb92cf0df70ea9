/**
 * What a file is, by its content: its name and the type that the system gives it may be wrong, and
 * the server believes neither.
 *
 * Everything here is a function of bytes, which may be cut off anywhere.
 */

import { startsWith, textAt, unsignedAt } from "./bytes";
import { partsOf } from "./imageParts";

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
  const end = Math.min(head.length, unsignedAt(head, 0));
  const brands: string[] = [];
  for (let at = 8; at + 4 <= end; at += 4) brands.push(textAt(head, at, 4));
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
  const traits = { isAnimated: false, hasMetadata: false };
  let frames = 0;
  for (const { name, data } of partsOf(bytes, format)) {
    switch (format) {
      case "image/png":
        // It stands before the image if there are further frames.
        if (name === "acTL") traits.isAnimated = true;
        if (name === "eXIf") traits.hasMetadata = true;
        if (PNG_TEXTS.has(name) && PNG_METADATA.test(textAt(bytes, data, 17)))
          traits.hasMetadata = true;
        break;
      case "image/jpeg":
        if (name === "SOS") return traits; // the rest are pixels
        if (JPEG_METADATA.test(name)) traits.hasMetadata = true;
        break;
      case "image/gif":
        if (name === "," && ++frames > 1) return { ...traits, isAnimated: true };
        break;
      default:
        if (name !== "VP8X") return traits; // what is in the file is said first, or it is an image alone
        traits.isAnimated = ((bytes[data] ?? 0) & 0x02) !== 0;
        traits.hasMetadata = ((bytes[data] ?? 0) & 0x0c) !== 0;
    }
  }
  return traits;
}

const PNG_TEXTS = new Set(["iTXt", "tEXt", "zTXt"]);
/** The name of a text that is XMP, or Exif or IPTC data as ImageMagick keeps them. */
const PNG_METADATA = /^(?:XML:com\.adobe\.xmp|Raw profile type )/;

/** APP1 has Exif or XMP, and APP13 has IPTC. */
const JPEG_METADATA = /^APP(?:1|13) /;
