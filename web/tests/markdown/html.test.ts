import { describe, expect, test } from "vitest";
import { plainHtmlOf as htmlOf } from "./rendering";

describe("a tag within a paragraph", () => {
  test.each([
    ["Press <kbd>Ctrl</kbd>+<KBD>C</KBD>", "Press <kbd>Ctrl</kbd>+<kbd>C</kbd>"],
    ["H<sub>2</sub>O, x<sup>2</sup>", "H<sub>2</sub>O, x<sup>2</sup>"],
    ["a<br>b<br/>c<br />d", "a<br>b<br>c<br>d"],
    ["<b>a *b*</b> <i>c</i>", "<strong>a <em>b</em></strong> <em>c</em>"],
    ["<u>a</u><mark>b</mark><del>c</del>", "<u>a</u><mark>b</mark><del>c</del>"],
    ["**<kbd>a</kbd>**", "<strong><kbd>a</kbd></strong>"],
    ["<kbd><kbd>a</kbd></kbd>", "<kbd><kbd>a</kbd></kbd>"],
    ["<ruby>漢<rt>かん</rt></ruby>", "<ruby>漢<rt>かん</rt></ruby>"],
    ['<font color="red">重</font><span style="x">点</span>', "重点"],
    ['<abbr title="a &amp; b">x</abbr>', '<abbr title="a &amp; b">x</abbr>'],
  ])("marks what it surrounds: %s", async (text, expected) => {
    expect(await htmlOf(text)).toBe(`<p>${expected}</p>`);
  });

  test.each([
    "the <b> tag",
    "</b> and <b>",
    "<script>x</script> <iframe></iframe> <style>y</style> <input> <form>",
    "<b>a *b</b> c*",
    "List<String> a<b && c>d",
    "\\<kbd>a\\</kbd>",
    "<!-- never closed",
    "<img src=x onerror=y> <img src='javascript:z'>",
  ])("remains text without its end, or if it is not one of these: %s", async (text) => {
    expect((await htmlOf(text)).replaceAll(/<\/?(p|em)>/g, "")).not.toMatch(/<[a-z!]/i);
  });

  test("keeps no attribute that could do something", async () => {
    const html = await htmlOf('<b onclick="x" style="y" class="z" id="w">a</b>');

    expect(html).toBe("<p><strong>a</strong></p>");
  });

  test("that is a link is one to the web only", async () => {
    const html = await htmlOf(
      '<a href="https://a.example/?b=1&amp;c=2">https://d.example</a> <a href="javascript:x">y</a>',
    );

    expect(html).toMatch(
      /^<p><a href="https:\/\/a.example\/\?b=1&amp;c=2" [^>]*>https:\/\/d.example<\/a> /,
    );
    expect(html).toMatch(/ <span>y<\/span><\/p>$/);
  });

  test("works in table cells and list items", async () => {
    const html = await htmlOf("| a |\n|---|\n| b<br><kbd>c</kbd> |\n\n- <sub>d</sub>\n");

    expect(html).toContain("b<br><kbd>c</kbd>");
    expect(html).toContain("<li><sub>d</sub></li>");
  });

  test("in code is code", async () => {
    expect(await htmlOf("`<kbd>a</kbd>`")).toBe("<p><code>&lt;kbd&gt;a&lt;/kbd&gt;</code></p>");
  });
});

describe("a comment", () => {
  test.each([
    ["a <!-- b --> c", "<p>a  c</p>"],
    ["<!-- a\n\nb -->\n\nc", "<p>c</p>"],
    ["a\n<!-- b -->\nc", "<p>a</p><p>c</p>"],
    ["<!-- a\n\nb --> c", "<p>c</p>"],
    ["<!-- a --> b\nc", "<p> b\nc</p>"],
    ["<!--> a", "<p> a</p>"],
    ["- a <!-- b -->\n- c", "<ul><li>a </li><li>c</li></ul>"],
  ])("is hidden: %j", async (text, expected) => {
    expect(await htmlOf(text)).toBe(expected);
  });

  test("without its end is shown once nothing can end it any more", async () => {
    expect(await htmlOf("a\n\n<!-- b\n\nc", true)).toBe("<p>a</p>");
    expect(await htmlOf("a\n\n<!-- b\n\nc")).toBe("<p>a</p><p>&lt;!-- b\n\nc</p>");
  });

  test("in code is code", async () => {
    expect(await htmlOf("`<!-- a -->`")).toBe("<p><code>&lt;!-- a --&gt;</code></p>");
  });
});

describe("<details>", () => {
  const box = (title: string, content: string) =>
    `<details><summary>${title}</summary>${content}</details>`;

  test.each([
    [
      "<details>\n<summary>T</summary>\n\na **b**\n\n</details>",
      box("T", "<p>a <strong>b</strong></p>"),
    ],
    ["<details><summary>T</summary>a</details>\nb", `${box("T", "<p>a</p>")}<p>b</p>`],
    [
      "<DETAILS>\n  <Summary><b>T</b> `c`</Summary>\n- a\n</DETAILS>",
      box("<strong>T</strong> <code>c</code>", "<ul><li>a</li></ul>"),
    ],
    ["<details>\n<summary>\nT\n</summary>\na\n</details> b", `${box("T", "<p>a</p>")}<p>b</p>`],
    [
      "<details>\n<summary>A</summary>\n<details>\n<summary>B</summary>\nb\n</details>\n</details>",
      box("A", box("B", "<p>b</p>")),
    ],
    [
      "- a\n  <details>\n  <summary>T</summary>\n\n  b\n  </details>\n- c",
      `<ul><li>a${box("T", "<p>b</p>")}</li><li>c</li></ul>`,
    ],
    [
      "> <details><summary>T</summary>\n> a\n> </details>\n\nb",
      `<blockquote>${box("T", "<p>a</p>")}</blockquote><p>b</p>`,
    ],
    ["<details>\na\n</details>", "<details><p>a</p></details>"],
    [
      "<details>\n<summary>T</summary>\n\nnever `</details>` closed",
      box("T", "<p>never <code>&lt;/details&gt;</code> closed</p>"),
    ],
  ])("opens and closes, with Markdown in it: %j", async (text, expected) => {
    expect(await htmlOf(text)).toBe(expected);
  });

  test("is open at first if it says so", async () => {
    expect(await htmlOf("<details open>\na\n</details>")).toBe("<details open><p>a</p></details>");
  });

  test("goes on after an end tag that is in a code block", async () => {
    const html = await htmlOf("<details>\n\n```html\n</details>\n```\n\na\n\n</details>\n\nb");

    expect(html).toMatch(/<p>a<\/p><\/details><p>b<\/p>$/);
  });

  test("that never ends is nested as deep as the parser goes, and no deeper", async () => {
    const html = await htmlOf("<details>\n".repeat(3000));

    expect(html.split("<details>").length).toBeLessThan(100);
  });
});
