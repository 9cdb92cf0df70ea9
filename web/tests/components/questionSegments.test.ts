import { describe, expect, test } from "vitest";
import { codeSpans, questionSegments } from "../../src/components/questionSegments";

const text = (text: string) => ({ kind: "text", text, language: "" });
const code = (text: string, language = "") => ({ kind: "code", text, language });

describe("code in a question is set as code", () => {
  test.each([
    [
      "Why?\n```js\nlet a;\n\n# b\n```\nThanks",
      [text("Why?"), code("let a;\n\n# b", "js"), text("Thanks")],
    ],
    ["~~~python\nx = 1\n~~~", [code("x = 1", "python")]],
    ["````md\n```\na\n```\n````", [code("```\na\n```", "md")]],
    ["Open:\n```\nnever closed", [text("Open:"), code("never closed")]],
    [
      "Fix this\n\ndef f(x):\n    return x\n\nplease",
      [text("Fix this"), code("def f(x):\n    return x"), text("please")],
    ],
    [
      "def f():\n    return 1\n\n\ndef g():\n\treturn 2",
      [code("def f():\n    return 1\n\n\ndef g():\n\treturn 2")],
    ],
    ["int a = 1;\nint b = 2;\nfoo(a, b);", [code("int a = 1;\nint b = 2;\nfoo(a, b);")]],
    ['{\n  "a": [1]\n}', [code('{\n  "a": [1]\n}')]],
    ["\n\n    indented\n  all", [code("    indented\n  all")]],
  ])("%j", (question, parts) => {
    expect(questionSegments(question)).toEqual(parts);
  });
});

describe("what is no code remains text, as it was typed", () => {
  test.each([
    "One line with `code`; and a semicolon;",
    "Two lines\nof prose.",
    "- a list\n  - with another\n    1. within",
    "　　中文段落首行缩进。\n　　第二段。",
    "First paragraph.\n\n\nSecond paragraph,\nwith two lines.",
    "Use ```inline``` fences here",
    "1. one;\n2. two.\n3. three",
  ])("%j", (question) => {
    expect(questionSegments(question)).toEqual([text(question)]);
  });
});

test("what is between backticks is code within a line", () => {
  expect(codeSpans("Is `a` or `b c` right?")).toEqual(["Is ", "a", " or ", "b c", " right?"]);
  expect(codeSpans("a ` b\nc ` d and ``e``")).toEqual(["a ` b\nc ` d and ``e``"]);
});
