import { expect, test } from "vitest";
import { decodeText } from "../../src/attachments/text";

const utf8 = (text: string) => new TextEncoder().encode(text);

test.each<[string, Uint8Array, string]>([
  ["UTF-8", utf8("名称,价格\n茶,3 €\n"), "名称,价格\n茶,3 €\n"],
  ["UTF-8 with a mark", new Uint8Array([0xef, 0xbb, 0xbf, 0x41]), "A"],
  ["UTF-16 as Windows writes it", new Uint8Array([0xff, 0xfe, 0x41, 0, 0x2d, 0x4e]), "A中"],
  ["UTF-16 of the other order", new Uint8Array([0xfe, 0xff, 0, 0x41, 0x4e, 0x2d]), "A中"],
  ["terminal colours and tabs", utf8("\x1b[31mred\x1b[0m\t\f\r\n"), "\x1b[31mred\x1b[0m\t\f\r\n"],
  ["nothing", new Uint8Array(), ""],
])("%s is read", (_, bytes, text) => {
  expect(decodeText(bytes, false)).toBe(text);
});

test.each<[string, number[]]>([
  ["a program", [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]],
  ["a zip file, such as a Word document", [0x50, 0x4b, 3, 4, 20, 0]],
  ["UTF-16 without a mark", [0x41, 0, 0x42, 0]],
  ["half of UTF-16", [0xff, 0xfe, 0x41]],
  ["Latin-1", [0x63, 0x61, 0x66, 0xe9, 0x0a]],
  ["Latin-1 with a letter behind", [0xe9, 0x74, 0xe9]],
])("%s is no text, whatever the user reads", (_, bytes) => {
  expect(decodeText(new Uint8Array(bytes), false)).toBeNull();
  expect(decodeText(new Uint8Array(bytes), true)).toBeNull();
});

test("GB 18030 is read for those who read Chinese, since Korean looks the same", () => {
  const saved = new Uint8Array([0xd6, 0xd0, 0xce, 0xc4, 0x2c, 0x41]);

  expect(decodeText(saved, true)).toBe("中文,A");
  expect(decodeText(saved, false)).toBeNull();
});

test("a text of megabytes is read", () => {
  const long = new Uint8Array(4_000_000).fill(0xd6);
  expect(decodeText(long, true)?.length).toBe(2_000_000);
});
