import { expect, test } from "vitest";
import { pastedFiles } from "../../src/attachments/pasting";

const file = (name: string) => new File(["x"], name);

function pasted(text: string, ...files: File[]): string[] {
  return pastedFiles({ getData: () => text, files }).map(({ name }) => name);
}

test("a screenshot or an image of a page is attached", () => {
  expect(pasted("", file("image.png"))).toEqual(["image.png"]);
});

test("files of a file manager are attached, although their names come as text", () => {
  expect(pasted("a.pdf\nb.png\n", file("a.pdf"), file("b.png"))).toEqual(["a.pdf", "b.png"]);
});

test("text is typed, although its program has added a picture of it", () => {
  expect(pasted("Total\t12\n", file("image.png"))).toEqual([]);
});

test("text alone and nothing at all are no files", () => {
  expect(pasted("some words")).toEqual([]);
  expect(pastedFiles(null)).toEqual([]);
});
