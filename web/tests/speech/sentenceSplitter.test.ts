import { expect, test, vi } from "vitest";
import { SentenceSplitter } from "../../src/speech/sentenceSplitter";

/** The sentences of a text that arrives in these pieces. */
function sentencesOf(...pieces: string[]): string[] {
  const splitter = new SentenceSplitter("Code.", (tex) => `(${tex})`);
  let text = "";
  const found = pieces.flatMap((piece) => splitter.next((text += piece), false));
  return [...found, ...splitter.next(text, true)];
}

test("a sentence is returned once, when it is complete", () => {
  const splitter = new SentenceSplitter("Code.");

  expect(splitter.next("The sky", false)).toEqual([]);
  expect(splitter.next("The sky is blue. The", false)).toEqual(["The sky is blue."]);
  expect(splitter.next("The sky is blue. The sea", true)).toEqual(["The sea"]);
  expect(splitter.next("The sky is blue. The sea", true)).toEqual([]);
});

test.each([
  [
    "Chinese",
    ["天空是蓝色的。", "为什么？因为散射！好"],
    ["天空是蓝色的。", "为什么？", "因为散射！", "好"],
  ],
  [
    "a decimal point does not end a sentence",
    ["It is 5", ".9 times more."],
    ["It is 5.9 times more."],
  ],
  ["a list", ["- one\n- two\n"], ["one", "two"]],
  ["a closing quote", ["He said “yes.” And left."], ["He said “yes.”", "And left."]],
  [
    "Markdown's marks are left out",
    ["## A **bold** [link](https://x.example) `x`\n"],
    ["A bold link x"],
  ],
  [
    "code is replaced by its name",
    ["See:\n```js\nlet a = 1.\n```\nDone."],
    ["See:", "Code.", "Done."],
  ],
  [
    "code with the beginning of other code in it ends once",
    ["```markdown\n```js\nlet a;\n```\nAfter it. Then"],
    ["Code.", "After it.", "Then"],
  ],
  [
    "code that begins beside a list's number ends, too",
    ["1. ```sh\n   - ```\n   ls\n   ```\n2. After it. Then"],
    ["Code.", "2. After it.", "Then"],
  ],
  [
    "a code block ends with a fence of its own kind and length",
    ["````md\n```js\nlet a.\n```\n~~~\n````\nDone."],
    ["Code.", "Done."],
  ],
  [
    "formulas are spoken in all four notations, and their full stops end nothing",
    ["So $x. y$ is\n$$\n1. 2\n$$\nand \\(a\\), \\[b\nc\\] too."],
    ["So (x. y) is", "( 1. 2 )", "and (a), (b c) too."],
  ],
  ["prices are no formulas", ["From $5 to $6. Or $7.\n"], ["From $5 to $6.", "Or $7."]],
  ["what is never closed is spoken as it is", ["A $x and `y.\nB."], ["A $x and `y.", "B."]],
  ["code in a sentence is left as it is", ["Call `a_b. c()`. Then"], ["Call a_b. c().", "Then"]],
  ["names keep their underscores", ["Use snake_case and _this_.\n"], ["Use snake_case and this."]],
  [
    "a table is spoken by rows, without its line",
    ["| A | B |\n|---|--:|\n| 1 | **2** |\n"],
    ["A, B", "1, 2"],
  ],
  ["the number of an item is no sentence", ["1. One.\n2. Two.\n"], ["1. One.", "2. Two."]],
  [
    "tasks, footnotes, comments and tags",
    ["- [x] Done[^1]<!-- no --> <kbd>now</kbd>\n"],
    ["Done now"],
  ],
  [
    "marks after a full stop",
    ["**Note.** This. 为什么？！好。"],
    ["Note.", "This.", "为什么？！", "好。"],
  ],
  ["a line across", ["a\n\n---\n\nb"], ["a", "b"]],
])("%s", (_name, pieces, expected) => {
  expect(sentencesOf(...pieces)).toEqual(expected);
  expect(sentencesOf(...pieces.join(""))).toEqual(expected);
});

test("a sentence without an end is spoken piece by piece", () => {
  const text = "word ".repeat(300);
  const splitter = new SentenceSplitter("Code.");

  const spoken = splitter.next(text, false);

  expect(spoken.length).toBe(2);
  expect([...spoken, ...splitter.next(text, true)].join(" ")).toBe(text.trim());
});

test.each(["!", "。", "…"])("of thousands of %s each is looked at once", (mark) => {
  const exec = vi.spyOn(RegExp.prototype, "exec");

  const spoken = new SentenceSplitter("Code.").next(`Yes${mark.repeat(5000)}`, false);

  expect(exec.mock.calls.length).toBeLessThan(20); // each of which goes through all marks
  exec.mockRestore();
  expect(spoken).toEqual([]);
});

test.each(["[", "[^", "[a](", "<!--"])(
  "thousands of %s in a row, which end nowhere, are gone through once",
  (mark) => {
    const splitter = new SentenceSplitter("Code.");

    // A search to the end from each of them would take many minutes.
    const [spoken = ""] = splitter.next(`a ${mark.repeat(1_000_000)}`, true);

    expect(spoken.startsWith(`a ${mark}`)).toBe(true);
  },
);
