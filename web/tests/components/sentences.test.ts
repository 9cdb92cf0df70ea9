import { expect, test } from "vitest";
import { Sentences } from "../../src/components/sentences";

/** What is said of a text that arrives in these pieces. */
function said(...pieces: string[]): string[] {
  const sentences = new Sentences("Code.");
  let text = "";
  const found = pieces.flatMap((piece) => sentences.next((text += piece), false));
  return [...found, ...sentences.next(text, true)];
}

test("a sentence is said once, when it is whole", () => {
  const sentences = new Sentences("Code.");

  expect(sentences.next("The sky", false)).toEqual([]);
  expect(sentences.next("The sky is blue. The", false)).toEqual(["The sky is blue."]);
  expect(sentences.next("The sky is blue. The sea", true)).toEqual(["The sea"]);
  expect(sentences.next("The sky is blue. The sea", true)).toEqual([]);
});

test.each([
  [
    "Chinese",
    ["天空是蓝色的。", "为什么？因为散射！好"],
    ["天空是蓝色的。", "为什么？", "因为散射！", "好"],
  ],
  ["a figure is no end", ["It is 5", ".9 times more."], ["It is 5.9 times more."]],
  ["a list", ["- one\n- two\n"], ["one", "two"]],
  ["a closing quote", ["He said “yes.” And left."], ["He said “yes.”", "And left."]],
  ["marks are for the eye", ["## A **bold** [link](https://x.example) `x`\n"], ["A bold link x"]],
  ["code is named, not spelt", ["See:\n```js\nlet a = 1.\n```\nDone."], ["See:", "Code.", "Done."]],
])("%s", (_name, pieces, expected) => {
  expect(said(...pieces)).toEqual(expected);
  expect(said(...pieces.join(""))).toEqual(expected);
});
