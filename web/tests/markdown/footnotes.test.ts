import { describe, expect, test } from "vitest";
import { pageOf, plainHtmlOf } from "./rendering";

/** The HTML of `text`, with references as `[n]` and notes as `<note n>`. */
async function htmlOf(text: string, growing = false): Promise<string> {
  return (await plainHtmlOf(text, growing))
    .replaceAll(/<sup><a [^>]*aria-label="Footnote (\d+)">\1<\/a><\/sup>/g, "[$1]")
    .replaceAll(/<div id="[^"]+-note-(\d+)" [^>]*>/g, "<note $1>")
    .replaceAll(/<span class="footnote-number">\d+\.<\/span>|<button.*?<\/button>/gs, "")
    .replaceAll(/<div class="footnote-text">(.*?)<\/div><\/div>/gs, "$1</note>")
    .replace(' class="footnotes" aria-label="Footnotes"', "");
}

test("notes are at the end, numbered as the text refers to them", async () => {
  const text = "a[^b] c[^a].\n\n[^a]: *One*\n[^b]: Two\ngoes on\n\n    and on\n\nd[^b]";

  expect(await htmlOf(text)).toBe(
    "<p>a[1] c[2].</p><p>d[1]</p><section>" +
      "<note 1><p>Two\ngoes on</p><p>and on</p></note><note 2><p><em>One</em></p></note></section>",
  );
});

describe("what refers to no note is the text that it was", () => {
  test.each(["the class [^a-z]", "[^1] alone", "a [^ b] and [^]", "x[^long label]"])(
    "%s",
    async (text) => {
      expect(await htmlOf(text)).toBe(`<p>${text}</p>`);
    },
  );
});

test("a note to which nothing refers is kept, after the others", async () => {
  expect(await htmlOf("a[^2]\n\n[^1]: x\n[^2]: y")).toBe(
    "<p>a[1]</p><section><note 1><p>y</p></note><note 2><p>x</p></note></section>",
  );
});

test("a finished paragraph refers to a note as soon as that comes", async () => {
  expect(await htmlOf("a[^1]\n\nb\n", true)).toBe("<p>a[^1]</p><p>b</p>");
  expect(await htmlOf("a[^1]\n\nb\n\n[^1]: x", true)).toBe(
    "<p>a[1]</p><p>b</p><section><note 1><p>x</p></note></section>",
  );
});

test("a note within a list or a quote stays there", async () => {
  expect(await htmlOf("> a[^1]\n>\n> [^1]: x")).toBe(
    "<blockquote><p>a[1]</p><note 1><p>x</p></note></blockquote>",
  );
});

test("a note of one word is no definition of a link", async () => {
  expect(await htmlOf("a[^1]\n\n[^1]: word")).toContain("<note 1><p>word</p></note>");
});

test("notes of one label are several, of which a reference means the next, or the last", async () => {
  const parts = "a[^1]\n\n[^1]: x\n\nb[^1] c[^1]\n\n[^1]: y\n\nd[^1]";

  expect(await htmlOf(parts)).toBe(
    "<p>a[1]</p><p>b[2] c[2]</p><p>d[2]</p>" +
      "<section><note 1><p>x</p></note><note 2><p>y</p></note></section>",
  );
  expect(await htmlOf("a[^1]\n\n[^1]: x\n[^1]: y")).toBe(
    "<p>a[1]</p><section><note 1><p>x</p></note><note 2><p>y</p></note></section>",
  );
});

test("no two notes on the page have one id, and each reference leads to one that is there", async () => {
  const html = await pageOf("a[^1]\n\n[^1]: x\n[^1]: y", "b[^1] c[^1]\n\n[^1]: z");

  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map((match) => match[1]);
  const addresses = [...html.matchAll(/ href="#([^"]+)"/g)].map((match) => match[1]);
  expect(new Set(ids).size).toBe(3);
  expect(addresses).toEqual([ids[0], ids[2], ids[2]]);
});

describe("a reference in the text of a link", () => {
  const LINK =
    '<a href="https://x.io" target="_blank" rel="noopener noreferrer nofollow" title="https://x.io">';

  test.each([
    ["at its end", "see [a[^1]](https://x.io)!", `<p>see ${LINK}a</a>[1]!</p>`],
    ["within it", "[a[^1] b](https://x.io)", `<p>${LINK}a b</a>[1]</p>`],
    ["emphasised", "[**a[^1]**](https://x.io)", `<p>${LINK}<strong>a</strong></a>[1]</p>`],
    ["of a tag", '<a href="https://x.io">a[^1]</a> b', `<p>${LINK}a</a>[1] b</p>`],
    ["that is emphasised", "*[a[^1]](https://x.io)*", `<p><em>${LINK}a</a>[1]</em></p>`],
    ["to no note", "[not [^a-z]](https://x.io)", `<p>${LINK}not [^a-z]</a></p>`],
  ])("%s stands behind it, so that both lead somewhere", async (_, text, html) => {
    const drawn = await htmlOf(`${text}\n\n[^1]: x`);

    expect(drawn.replace(/<section>.*/, "")).toBe(html);
  });
});

test("references work within emphasis and after CJK punctuation", async () => {
  expect(await htmlOf("**重点。[^1]**后[^1]。\n\n[^1]: 注")).toContain(
    "<p><strong>重点。[1]</strong>后[1]。</p>",
  );
});
