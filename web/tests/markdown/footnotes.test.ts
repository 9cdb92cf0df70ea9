import { describe, expect, test } from "vitest";
import { plainHtmlOf } from "./rendering";

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

test("references work within emphasis and after CJK punctuation", async () => {
  expect(await htmlOf("**重点。[^1]**后[^1]。\n\n[^1]: 注")).toContain(
    "<p><strong>重点。[1]</strong>后[1]。</p>",
  );
});
