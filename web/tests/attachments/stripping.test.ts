import { describe, expect, test } from "vitest";
import type { Format } from "../../src/attachments/formats";
import { withoutMetadata } from "../../src/attachments/stripping";

/** Bytes of a string whose characters are bytes, and such a string of bytes. */
const bytesOf = (text: string) => Uint8Array.from(text, (each) => each.charCodeAt(0));
const textOf = (bytes: Uint8Array | null) => bytes && String.fromCharCode(...bytes);

/** Numbers of four bytes. */
const big = (number: number) =>
  String.fromCharCode(...[24, 16, 8, 0].map((shift) => (number >> shift) & 0xff));
const little = (number: number) => [...big(number)].toReversed().join("");

const chunk = (name: string, data = "") => `${big(data.length)}${name}${data}crc!`;
const png = (...chunks: string[]) => `\x89PNG\r\n\x1a\n${chunks.join("")}`;
const riffChunk = (name: string, data = "") =>
  name + little(data.length) + data + (data.length % 2 ? "\0" : "");
const webp = (...chunks: string[]) =>
  `RIFF${little(4 + chunks.join("").length)}WEBP${chunks.join("")}`;
const segment = (marker: string, data: string) =>
  `\xff${marker}\0${String.fromCharCode(data.length + 2)}${data}`;
const jpeg = (...parts: string[]) => `\xff\xd8${parts.join("")}`;
const gif = (...blocks: string[]) => `GIF89a\x02\0\x02\0\x80\0\0RGBRGB${blocks.join("")}`;
const extension = (kind: string, ...data: string[]) =>
  `!${kind}${data.map((each) => String.fromCharCode(each.length) + each).join("")}\0`;

/** Two frames, with the colours and the times in which they are shown. */
const PNG_FRAMES = [
  chunk("acTL", "12345678"),
  chunk("fcTL", "f0"),
  chunk("IDAT", "eXIf"),
  chunk("fdAT", "1eXIf"),
];
const WEBP_FRAMES = [
  riffChunk("ANIM", "123456"),
  riffChunk("ANMF", "EXIF 1"),
  riffChunk("ANMF", "odd"),
];
const FRAME = "\x2c\0\0\0\0\x02\0\x02\0\0\x02\x03!\xfe;\0";
const LOOP = extension("\xff", "NETSCAPE2.0", "\x01\0\0");
const DELAY = extension("\xf9", "\x04\x0a\0\0");
const SCAN = segment("\xda", "x") + "pixels\xff\0\xff\xd0\xff\xff\xd1more";
const [JFIF, ADOBE] = [segment("\xe0", "JFIF\0\x01\x02"), segment("\xee", "Adobe\0d\0\0")];
const ICC = segment("\xe2", "ICC_PROFILE\0\x01\x01profile");
/** XMP in a GIF stands there as it is, and then all numbers downwards lead to the end from anywhere. */
const GIF_XMP =
  "!\xff\x0bXMP DataXMP<x:xmpmeta/>" +
  String.fromCharCode(1, ...Array.from({ length: 256 }, (_, index) => 255 - index), 0);

describe.each<[string, Format, string, string]>([
  [
    "a PNG that moves",
    "image/png",
    png(
      ...[
        chunk("IHDR", "size"),
        chunk("iCCP", "profile"),
        chunk("eXIf", "GPS"),
        chunk("tIME", "now"),
      ],
      ...[chunk("tEXt", "Author\0me"), chunk("iTXt", "XML:com.adobe.xmp\0GPS"), chunk("zTXt", "x")],
      ...[
        chunk("caBX", "credentials"),
        ...PNG_FRAMES,
        chunk("eXIf", "GPS"),
        chunk("IEND"),
        "trailer",
      ],
    ),
    png(chunk("IHDR", "size"), chunk("iCCP", "profile"), ...PNG_FRAMES, chunk("IEND")),
  ],
  [
    "a WebP that moves",
    "image/webp",
    webp(
      ...[riffChunk("VP8X", "\x2e\0\0\0......"), riffChunk("ICCP", "profile"), ...WEBP_FRAMES],
      ...[riffChunk("EXIF", "GPS"), riffChunk("XMP ", "GPS!"), riffChunk("C2PA", "credentials")],
    ) + "trailer",
    webp(riffChunk("VP8X", "\x22\0\0\0......"), riffChunk("ICCP", "profile"), ...WEBP_FRAMES),
  ],
  [
    "a WebP without a list of what is in it",
    "image/webp",
    webp(riffChunk("VP8 ", "\x0epixels"), riffChunk("EXIF", "GPS")),
    webp(riffChunk("VP8 ", "\x0epixels")),
  ],
  [
    "a GIF that moves",
    "image/gif",
    gif(
      LOOP,
      extension("\xfe", "taken at", "home"),
      DELAY,
      FRAME,
      GIF_XMP,
      DELAY,
      FRAME,
      ";trailer",
    ),
    gif(LOOP, DELAY, FRAME, DELAY, FRAME, ";"),
  ],
  [
    "a JPEG",
    "image/jpeg",
    jpeg(
      ...[JFIF, segment("\xe0", "JFXX\0thumbnail"), ICC, segment("\xe2", "MPF\0images"), ADOBE],
      ...[
        segment("\xe1", "Exif\0\0GPS"),
        segment("\xed", "Photoshop 3.0\0"),
        segment("\xfe", "me"),
      ],
      ...[
        segment("\xeb", "JP\0credentials"),
        segment("\xc4", "tables"),
        SCAN,
        segment("\xfe", "me"),
      ],
      ...[segment("\xda", "y"), "pixels", "\xff\xd9", jpeg(segment("\xe1", "Exif\0\0GPS"))],
    ),
    jpeg(
      JFIF,
      ICC,
      ADOBE,
      segment("\xc4", "tables"),
      SCAN,
      segment("\xda", "y"),
      "pixels",
      "\xff\xd9",
    ),
  ],
])("%s", (_, format, content, stripped) => {
  test("keeps its frames, colours and nothing else", () => {
    expect(textOf(withoutMetadata(bytesOf(content), format))).toBe(stripped);
  });

  test("without metadata stays as it is", () => {
    expect(textOf(withoutMetadata(bytesOf(stripped), format))).toBe(stripped);
  });

  test("that is cut off anywhere has none, either", () => {
    for (let length = 0; length < content.length; length++) {
      const cut = textOf(withoutMetadata(bytesOf(content.slice(0, length)), format));
      expect(cut).not.toMatch(/GPS|home|credentials/);
    }
  });
});

test.each<[string, Format, string]>([
  ["a PNG", "image/png", png(chunk("IHDR", "size"), "1234 no chunk")],
  ["a WebP", "image/webp", webp(riffChunk("VP8X", "\x02\0\0\0"), "\0\0\0\0\0\0\0\0")],
  ["a JPEG", "image/jpeg", jpeg(JFIF, "no marker")],
  ["a PNG of too many", "image/png", png(chunk("tEXt").repeat(100_001))],
  ["another image", "image/bmp", "BM"],
])("the parts of %s are not told apart", (_, format, content) => {
  expect(withoutMetadata(bytesOf(content), format)).toBeNull();
});

test("a GIF ends where it does not go on as one, as in browsers", () => {
  expect(textOf(withoutMetadata(bytesOf(gif(FRAME, "\0GPS")), "image/gif"))).toBe(gif(FRAME));
});
