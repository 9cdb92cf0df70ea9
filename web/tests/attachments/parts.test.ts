import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Attachment } from "../../src/attachments/attachment";
import { questionParts } from "../../src/attachments/parts";

/** The browser's FileReader, as far as it encodes. */
class FakeReader {
  result = "";
  error = new DOMException("gone", "NotReadableError");
  onload = () => undefined;
  onerror = () => undefined;
  async readAsDataURL(content: Blob): Promise<void> {
    if (content.size === 0) return void this.onerror();
    this.result = `data:${content.type};base64,${btoa(await content.text())}`;
    this.onload();
  }
}

beforeEach(() => void vi.stubGlobal("FileReader", FakeReader));
afterEach(() => void vi.unstubAllGlobals());

const attachment = (kind: Attachment["kind"], content: string, type: string): Attachment => ({
  ...{ key: content, kind, name: "a.md", content: new Blob([content], { type }) },
});
const image = attachment("image", "x", "image/png");
const file = attachment("file", "# A", "text/plain");

test("images and files come before the text, in their order, with the names of files", async () => {
  expect(await questionParts("What?", [file, image])).toEqual([
    { type: "file", url: "data:text/plain;base64,IyBB", name: "a.md" },
    { type: "image", url: "data:image/png;base64,eA==" },
    { type: "text", text: "What?" },
  ]);
});

test("a question without text has no part for it", async () => {
  expect((await questionParts("", [image])).map(({ type }) => type)).toEqual(["image"]);
});

test("a content that cannot be read any more is an error", async () => {
  await expect(questionParts("", [attachment("image", "", "")])).rejects.toThrow("gone");
});
