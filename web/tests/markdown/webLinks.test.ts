import { describe, expect, test } from "vitest";
import { outline, tokensOf } from "./reading";

describe("an address ends", () => {
  test.each([
    ["见 https://example.com，然后", "见 [a https://example.com]，然后"],
    ["见https://example.com/a/b。", "见[a https://example.com/a/b]。"],
    ["（https://example.com/a）", "（[a https://example.com/a]）"],
    ["（见https://example.com/a_(b)）吗", "（见[a https://example.com/a_(b)]）吗"],
    ["《https://example.com》", "《[a https://example.com]》"],
    ["“https://example.com/?q=1&r=2”是", "“[a https://example.com/?q=1&r=2]”是"],
    ["「https://example.com/#x」です", "「[a https://example.com/#x]」です"],
    [
      "https://a.example/x；https://b.example/y",
      "[a https://a.example/x]；[a https://b.example/y]",
    ],
    ["https://a.example、http://b.example！", "[a https://a.example]、[a http://b.example]！"],
    ["https://example.com/a……等等", "[a https://example.com/a]……等等"],
    ["https://example.com/a——说明", "[a https://example.com/a]——说明"],
    ["https://example.com/a　全角空格", "[a https://example.com/a]　全角空格"],
    ["**链接：https://example.com/a**，后", "[strong 链接：[a https://example.com/a]]，后"],
    ["**链接：https://example.com/a**后面", "[strong 链接：[a https://example.com/a]]后面"],
  ])("at full-width punctuation: %s", (text, expected) => {
    expect(outline(text)).toBe(expected);
  });

  test.each([
    ["打开https://example.com查看", "打开[a https://example.com]查看"],
    [
      "https://www.example.co.jp をhttps://b.exampleで",
      "[a https://www.example.co.jp] を[a https://b.example]で",
    ],
    ["访问http://127.0.0.1:8080即可", "访问[a http://127.0.0.1:8080]即可"],
    ["访问http://localhost:8080即可", "访问[a http://localhost:8080]即可"],
    ["https://example.com에서", "[a https://example.com]에서"],
  ])("its host before letters that follow it: %s", (text, expected) => {
    expect(outline(text)).toBe(expected);
  });

  test.each([
    ["see https://example.com/a.", "see [a https://example.com/a]."],
    ["(https://example.com/a)", "([a https://example.com/a])"],
    ["https://example.com/a, b", "[a https://example.com/a], b"],
  ])("as everywhere at ASCII's: %s", (text, expected) => {
    expect(outline(text)).toBe(expected);
  });
});

test.each([
  "https://zh.wikipedia.org/wiki/瑞利散射",
  "https://ja.wikipedia.org/wiki/々〆ヶ",
  "https://例子.中国/路径",
  "https://www.abc中文.com/",
])("letters of any script are part of an address: %s", (address) => {
  expect(outline(address)).toBe(`[a ${address}]`);
});

test("what does not begin with https:// or http:// is no link", () => {
  expect(outline("Vue.js main.py a@b.example ftp://a.example //b.example")).not.toContain("[a");
});

test("a link in brackets keeps its address", () => {
  const link = tokensOf("[维基](https://zh.wikipedia.org/wiki/散射（物理）)。").find(
    ({ type }) => type === "link_open",
  );

  expect(decodeURI(String(link?.attrGet("href")))).toBe(
    "https://zh.wikipedia.org/wiki/散射（物理）",
  );
});

test("an address is a link whole or not at all, however long it is", () => {
  const long = `https://example.com/${"a".repeat(8000)}`;

  expect(outline(`see ${long} here`)).toBe(`see [a ${long}] here`);
  expect(outline(`see ${long.repeat(2)} here`)).not.toContain("[a");
});

test.each(["https://a.b/(", "https://a.b/**", "http://"])(
  "eighty thousand characters of %j are parsed in one go",
  (piece) => {
    // Quadratic work would take minutes, and the test would time out.
    expect(outline(piece.repeat(80_000 / piece.length))).toContain(piece);
  },
);
