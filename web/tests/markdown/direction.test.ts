import { expect, test } from "vitest";
import { isolated } from "../../src/markdown/direction";
import { htmlOf } from "./rendering";

const ARABIC = "مرحبا بالعالم";
const HEBREW = "שלום";

test.each([
  [`${ARABIC} Vue`, `<p dir="auto">${ARABIC} Vue</p>`],
  [`# ${HEBREW}`, `<h3 dir="auto">${HEBREW}</h3>`],
  [`- **${ARABIC}**\n- b`, `<ul dir="rtl"><li><strong>${ARABIC}</strong></li><li>b</li></ul>`],
  [`- b\n- ${ARABIC}`, `<ul dir="ltr"><li>b</li><li>${ARABIC}</li></ul>`],
  [`1. \`npm\` ${ARABIC}`, `<ol dir="rtl"><li><code dir="ltr">npm</code> ${ARABIC}</li></ol>`],
  [
    `> ${HEBREW}\n\na`,
    `<blockquote dir="rtl"><p dir="auto">${HEBREW}</p></blockquote><p dir="auto">a</p>`,
  ],
  ["- 1\n- 2", "<ul><li>1</li><li>2</li></ul>"],
])("each block has the direction of its first letter: %j", async (text, expected) => {
  expect(await htmlOf(text)).toBe(expected);
});

test("a table has the direction of its first cell, and each cell its own", async () => {
  const html = await htmlOf(`| ${ARABIC} | b |\n|---|---|\n| 1 | 2 |`);

  expect(html).toMatch(/^<div class="table"[^>]* dir="rtl">/);
  expect(html).toContain(`<th dir="auto">${ARABIC}</th><th dir="auto">b</th>`);
});

test("a title keeps its order within a sentence of another direction", () => {
  expect(isolated(`${HEBREW} 1`)).toBe(`\u2068${HEBREW} 1\u2069`);
  expect(isolated("Why? 为什么")).toBe("Why? 为什么");
});
