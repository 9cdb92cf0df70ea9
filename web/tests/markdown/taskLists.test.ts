import { expect, test } from "vitest";
import { tokensOf } from "./reading";

/** The texts of `text`'s items, tasks with their state. */
const items = (text: string) =>
  tokensOf(text)
    .filter(({ type }) => type === "inline")
    .map(({ content, meta }) => (meta ? { content, ...meta } : content));

test("items that begin with a box are tasks, in lists of all kinds", () => {
  const text =
    "- [ ] open\n- [x] done\n- [X] 完成\n\n1. [x] one\n   - [ ] within\n\n* [ ] loose\n\n* [x] list\n";

  expect(items(text)).toEqual([
    { content: "open", isDone: false },
    { content: "done", isDone: true },
    { content: "完成", isDone: true },
    { content: "one", isDone: true },
    { content: "within", isDone: false },
    { content: "loose", isDone: false },
    { content: "list", isDone: true },
  ]);
});

test("a box elsewhere, a link or another letter makes no task", () => {
  const texts = ["[ ] paragraph", "[x](https://a.example)", "[y] no", "[x]no", "[ ]", "see [x] it"];

  expect(
    items(
      `${texts[0]}\n\n${texts
        .slice(1)
        .map((text) => `- ${text}\n`)
        .join("")}`,
    ),
  ).toEqual(texts);
});

test("only the first paragraph of an item says that it is a task", () => {
  expect(items("- text\n\n  [x] not this\n")).toEqual(["text", "[x] not this"]);
});
