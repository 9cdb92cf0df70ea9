import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AttachmentRefused } from "../../src/attachments/attachment";
import { fittingName, readAttachment } from "../../src/attachments/reading";
import { fittingSize, MAX_LOSSLESS_BYTES } from "../../src/attachments/scaling";

const PNG = "\x89PNG\r\n\x1a\n";
const JPEG = "\xff\xd8\xff\xda\0\x02";
const PHOTOGRAPH = "\xff\xd8\xff\xe1\0\x06Exif";
const movingGif = (frames: number) =>
  "GIF89a\x02\0\x02\0\0\0\0" + "\x2c\0\0\0\0\x02\0\x02\0\0\x02\0".repeat(frames) + ";";
/** A PNG's chunk that says that there are two frames. */
const FRAMES = "\0\0\0\x08acTL\0\0\0\x02\0\0\0\0crc!";
const HEIC = "\0\0\0\x18ftypheic\0\0\0\0mif1heic";
const options = { maxBytes: 10_000, readsChinese: false };

/** A browser that decodes every image in this size, and encodes PNG in `pngBytes`. */
const browser = { width: 100, height: 50, pngBytes: 10, decodes: true, open: 0, drawn: "" };

class FakeCanvas {
  fills: string[] = [];
  constructor(
    readonly width: number,
    readonly height: number,
  ) {}
  getContext = () => ({
    drawImage: () => undefined,
    fillRect: () => this.fills.push("white"),
  });
  async convertToBlob({ type }: { type: string }): Promise<Blob> {
    browser.drawn = [`${this.width}×${this.height}`, type, ...this.fills].join(" ");
    return new Blob(["x".repeat(type === "image/png" ? browser.pngBytes : 5)], { type });
  }
}

beforeEach(() => {
  Object.assign(browser, { width: 100, height: 50, pngBytes: 10, decodes: true, drawn: "" });
  vi.stubGlobal("OffscreenCanvas", FakeCanvas);
  vi.stubGlobal("createImageBitmap", async () => {
    if (!browser.decodes) throw new DOMException("no image", "InvalidStateError");
    browser.open++;
    return { ...browser, close: () => browser.open-- };
  });
});
afterEach(() => {
  vi.unstubAllGlobals();
  expect(browser.open).toBe(0); // decoded images of megabytes are freed
});

function file(content: string, name = "file"): File {
  return new File([Uint8Array.from(content, (each) => each.charCodeAt(0))], name);
}

async function reasonFor(chosen: File): Promise<string> {
  const refused: AttachmentRefused = await readAttachment(chosen, options).then(
    () => expect.fail("it was attached"),
    (error) => error,
  );
  return refused.reason;
}

test.each([
  ["a PNG", PNG, "image/png"],
  ["a JPEG", JPEG, "image/jpeg"],
])("%s that is small is attached as it is", async (_, content, type) => {
  const attachment = await readAttachment(file(content, "a"), options);

  expect([attachment.kind, attachment.name, attachment.content.type]).toEqual(["image", "a", type]);
  expect(await attachment.content.arrayBuffer()).toEqual(await file(content).arrayBuffer());
  expect(browser.drawn).toBe("");
});

test.each<[string, string, Partial<typeof browser>, string]>([
  ["a photograph, with its place", PHOTOGRAPH, {}, "100×50 image/jpeg white"],
  ["a large JPEG", JPEG, { width: 4096, height: 3072 }, "2048×1536 image/jpeg white"],
  ["a tall screenshot", PNG, { width: 1000, height: 4096 }, "500×2048 image/png"],
  [
    "a screenshot whose PNG is large",
    PNG,
    { width: 4096, height: 4096, pngBytes: MAX_LOSSLESS_BYTES + 1 },
    "2048×2048 image/jpeg white",
  ],
  ["a HEIC where the browser decodes it", HEIC, {}, "100×50 image/jpeg white"],
  ["a BMP", "BM\x36\0\x0c\0\0\0\0\0", {}, "100×50 image/png"],
])("%s is drawn anew", async (_, content, change, drawn) => {
  Object.assign(browser, change);

  const attachment = await readAttachment(file(content, "a.jpg"), options);

  expect(browser.drawn).toBe(drawn);
  expect(attachment.content.type).toBe(drawn.split(" ")[1]);
});

test("an image that fits but takes many bytes is drawn anew", async () => {
  const large = { ...options, maxBytes: null };

  const attachment = await readAttachment(file(JPEG + "x".repeat(MAX_LOSSLESS_BYTES)), large);

  expect(attachment.content.size).toBe(5);
});

test("an image that moves stays as it is, however large, up to the server's limit", async () => {
  Object.assign(browser, { width: 4000, height: 4000 });

  expect((await readAttachment(file(movingGif(2)), options)).content.type).toBe("image/gif");
  expect(browser.drawn).toBe("");
  expect(await reasonFor(file(movingGif(1000)))).toBe("too_large");
});

test("an image that moves is attached without the place where it was taken", async () => {
  const attachment = await readAttachment(
    file(`${PNG}${FRAMES}\0\0\0\x03eXIfGPScrc!\0\0\0\0IENDcrc!film`),
    options,
  );

  expect(await attachment.content.text()).toBe(
    await file(`${PNG}${FRAMES}\0\0\0\0IENDcrc!`).text(),
  );
});

test("an image that moves and whose parts cannot be told apart is refused, a still one drawn anew", async () => {
  expect(await reasonFor(file(`${PNG}${FRAMES}12345678`))).toBe("broken_image");

  await readAttachment(file(`${PNG}12345678`), options);
  expect(browser.drawn).toBe("100×50 image/png");
});

test.each([
  ["a HEIC that the browser cannot decode", HEIC, "heic"],
  ["an image that is broken", PNG, "broken_image"],
])("%s is refused by its name", async (_, content, reason) => {
  browser.decodes = false;
  expect(await reasonFor(file(content))).toBe(reason);
});

test.each([
  ["an empty file", "", "empty"],
  ["a text of nothing but a byte order mark", "\xff\xfe", "empty"],
  ["a program", "\x7fELF\x02\x01\x01\0", "unsupported"],
  ["a text beyond the limit", "x".repeat(10_001), "too_large"],
  ["a PDF beyond the limit", "%PDF-" + "x".repeat(10_000), "too_large"],
])("%s is refused", async (_, content, reason) => {
  expect(await reasonFor(file(content))).toBe(reason);
});

test("a folder, or a file that has changed since it was chosen, is refused", async () => {
  const gone = file("text");
  const changed = new DOMException("it has changed", "NotReadableError");
  gone.slice = () => Object.assign(new Blob(), { arrayBuffer: () => Promise.reject(changed) });
  expect(await reasonFor(gone)).toBe("unreadable");
});

test("a PDF is attached as it is, and a text in UTF-8", async () => {
  const pdf = await readAttachment(file("%PDF-1.7 \xff", "报告.pdf"), options);
  const text = await readAttachment(file("\xff\xfe\x2d\x4e", "notes.TXT"), options);

  expect([pdf.kind, pdf.name, pdf.content.type]).toEqual(["file", "报告.pdf", "application/pdf"]);
  expect(pdf.content.size).toBe(10);
  expect([text.kind, text.name, await text.content.text()]).toEqual(["file", "notes.TXT", "中"]);
});

test.each([
  ["as it is", "notes.txt", "notes.txt"],
  ["without what cannot be printed", "a\nb\x7f.txt", "ab.txt"],
  ["as a word if nothing is left", "\n", "file"],
  ["cut before its ending", "😀".repeat(300) + ".pdf", "😀".repeat(251) + ".pdf"],
  ["cut if it has no ending", "x".repeat(300), "x".repeat(255)],
])("a name is sent %s", (_, name, sent) => {
  expect(fittingName(name)).toBe(sent);
});

test("an image keeps its proportions and is never enlarged", () => {
  expect(fittingSize(1, 1)).toEqual({ width: 1, height: 1 });
  expect(fittingSize(2048, 100)).toEqual({ width: 2048, height: 100 });
  expect(fittingSize(8000, 6000)).toEqual({ width: 2048, height: 1536 });
  expect(fittingSize(50_000, 1)).toEqual({ width: 2048, height: 1 });
});
