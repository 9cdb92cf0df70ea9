import { expect, test } from "vitest";
import { SentenceSplitter } from "../../src/components/sentenceSplitter";

/** The sentences of a text that arrives in these pieces. */
function sentencesOf(...pieces: string[]): string[] {
  const splitter = new SentenceSplitter("Code.");
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
])("%s", (_name, pieces, expected) => {
  expect(sentencesOf(...pieces)).toEqual(expected);
  expect(sentencesOf(...pieces.join(""))).toEqual(expected);
});
