import { expect, test } from "vitest";
import { formatOf, traitsOf, type Format } from "../../src/attachments/formats";

const still = { isAnimated: false, hasMetadata: false };
const animated = { isAnimated: true, hasMetadata: false };
const telling = { isAnimated: false, hasMetadata: true };

/** Bytes of a string whose characters are bytes. */
const bytes = (text: string) => Uint8Array.from(text, (each) => each.charCodeAt(0));

const PNG_HEAD = "\x89PNG\r\n\x1a\n";
const pngChunk = (name: string, content = "") =>
  `\0\0\0${String.fromCharCode(content.length)}${name}${content}crc!`;
const jpegSegment = (marker: string, content: string) =>
  `\xff${marker}\0${String.fromCharCode(content.length + 2)}${content}`;
const webpChunk = (name: string, content: string) =>
  `RIFF${String.fromCharCode(content.length + 12)}\0\0\0WEBP${name}${String.fromCharCode(content.length)}\0\0\0${content}`;
/** A GIF's head without a table of colours, and an image with a table of two. */
const GIF_HEAD = "GIF89a\x02\0\x02\0\0\0\0";
const GIF_FRAME = "\x2c\0\0\0\0\x02\0\x02\0\x80RGBRGB\x02\x02\x4c\x01\0";
const GIF_DELAY = "\x21\xf9\x04\0\x0a\0\0\0";

test.each<[string, string, Format | null]>([
  ["PNG", PNG_HEAD, "image/png"],
  ["JPEG", "\xff\xd8\xff\xe0", "image/jpeg"],
  ["GIF of 1987", "GIF87a", "image/gif"],
  ["GIF of 1989", "GIF89a", "image/gif"],
  ["WebP", "RIFF\x10\0\0\0WEBPVP8 ", "image/webp"],
  ["sound in RIFF", "RIFF\x10\0\0\0WAVEfmt ", null],
  ["PDF", "%PDF-1.7\n", "application/pdf"],
  ["an iPhone's photograph", "\0\0\0\x24ftypheic\0\0\0\0mif1MiHE", "image/heic"],
  ["HEIF by a later brand", "\0\0\0\x18ftypabcd\0\0\0\0heix", "image/heic"],
  ["AVIF, which names HEIF's brands, too", "\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "image/avif"],
  ["a film", "\0\0\0\x18ftypisom\0\0\x02\0mp42", null],
  ["BMP", "BM\x36\0\x0c\0\0\0\0\0", "image/bmp"],
  ["text that begins with BM", "BM is a German company", null],
  ["TIFF", "II*\0\x08\0\0\0", "image/tiff"],
  ["TIFF of the other order", "MM\0*\0\0\0\x08", "image/tiff"],
  ["text", "Hello", null],
  ["an image of SVG, which is text", "<svg xmlns=", null],
  ["nothing", "", null],
])("%s is known by its first bytes", (_, head, format) => {
  expect(formatOf(bytes(head))).toBe(format);
});

test.each<[string, Format, string, object]>([
  ["a PNG", "image/png", PNG_HEAD + pngChunk("IHDR", "x") + pngChunk("IDAT"), still],
  [
    "a PNG that moves",
    "image/png",
    PNG_HEAD + pngChunk("IHDR", "x") + pngChunk("acTL", "12345678") + pngChunk("IDAT"),
    animated,
  ],
  [
    "a PNG with Exif behind its image",
    "image/png",
    PNG_HEAD + pngChunk("IDAT", "xy") + pngChunk("eXIf", "gps"),
    telling,
  ],
  ["a PNG with XMP", "image/png", PNG_HEAD + pngChunk("iTXt", "XML:com.adobe.xmp\0"), telling],
  [
    "a PNG with Exif data from ImageMagick",
    "image/png",
    PNG_HEAD + pngChunk("zTXt", "Raw profile type exif\0"),
    telling,
  ],
  [
    "a JPEG with IPTC data, which name the place",
    "image/jpeg",
    "\xff\xd8" + jpegSegment("\xe0", "JFIF\0") + jpegSegment("\xed", "Photoshop 3.0\0"),
    telling,
  ],
  ["a PNG with a comment", "image/png", PNG_HEAD + pngChunk("iTXt", "Comment\0"), still],
  ["a PNG whose pixels spell names", "image/png", PNG_HEAD + pngChunk("IDAT", "acTLeXIf"), still],
  [
    "a JPEG",
    "image/jpeg",
    "\xff\xd8" + jpegSegment("\xe0", "JFIF\0") + jpegSegment("\xda", "x"),
    still,
  ],
  [
    "a photograph",
    "image/jpeg",
    "\xff\xd8" + jpegSegment("\xe0", "JFIF\0") + jpegSegment("\xe1", "Exif\0\0"),
    telling,
  ],
  [
    "a photograph with filler bytes",
    "image/jpeg",
    "\xff\xd8\xff\xff" + jpegSegment("\xe1", "Exif\0\0"),
    telling,
  ],
  [
    "a JPEG whose pixels look like Exif",
    "image/jpeg",
    "\xff\xd8" + jpegSegment("\xda", "x") + jpegSegment("\xe1", "Exif"),
    still,
  ],
  ["a GIF of one frame", "image/gif", GIF_HEAD + GIF_DELAY + GIF_FRAME + ";", still],
  [
    "a GIF that moves",
    "image/gif",
    GIF_HEAD + GIF_DELAY + GIF_FRAME + GIF_DELAY + GIF_FRAME + ";",
    animated,
  ],
  [
    "a GIF with colours for all its frames",
    "image/gif",
    "GIF89a\x02\0\x02\0\x80\0\0RGBRGB" + GIF_FRAME + GIF_FRAME + ";",
    animated,
  ],
  ["a small WebP", "image/webp", webpChunk("VP8 ", "\xff\xff"), still],
  ["a WebP that moves", "image/webp", webpChunk("VP8X", "\x02\0\0\0"), animated],
  ["a WebP with Exif", "image/webp", webpChunk("VP8X", "\x08\0\0\0"), telling],
])("%s is known by its parts, and may be cut off anywhere", (_, format, content, traits) => {
  const whole = bytes(content);

  expect(traitsOf(whole, format)).toEqual(traits);

  for (let length = 0; length < whole.length; length++)
    expect(() => traitsOf(whole.subarray(0, length), format)).not.toThrow();
});

test("a format is known wherever the file is cut off, or not at all", () => {
  const photograph = bytes("\0\0\0\x18ftypheic\0\0\0\0mif1heic" + "x".repeat(40));
  for (let length = 0; length < photograph.length; length++)
    expect([null, "image/heic"]).toContain(formatOf(photograph.subarray(0, length)));
});
