import { describe, expect, test, vi } from "vitest";
import type { Conversation, Message } from "../../src/api";
import { branchTo, fileName, loadAll } from "../../src/exporting";
import { toMarkdown } from "../../src/exporting/markdown";
import type { Block } from "../../src/stream";
import { textsIn } from "../components/texts";

const texts = textsIn("en");

const message = (id: string, blocks: Block[], fields: Partial<Message> = {}): Message => ({
  ...{ id, conversation_id: "c", parent_id: null, role: "assistant", blocks, model: "p/m" },
  ...{ status: "complete", finish_reason: "stop", usage: null, timing: null, error: null },
  ...{ created_at: "", ended_at: null },
  ...fields,
});
const asked = (id: string, text: string, parent: string | null = null): Message =>
  message(id, [{ type: "text", text }], { role: "user", model: null, parent_id: parent });
const titled = (title: string | null): Pick<Conversation, "title" | "system"> => ({
  title,
  system: null,
});

describe("Markdown", () => {
  test("has the title, the system prompt and each message under a heading", () => {
    const answer = message("a", [{ type: "text", text: "**Blue.**\n" }]);

    expect(
      toMarkdown({ title: "The\nsky", system: "Be brief." }, [asked("q", "Why?"), answer], texts),
    ).toBe(`# The sky

## System prompt

Be brief.

## You

Why?

## Answer (p/m)

**Blue.**
`);
  });

  test("quotes reasoning, fences calls and results, and names what is attached", () => {
    const markdown = toMarkdown(
      titled(null),
      [
        message("a", [
          { type: "reasoning", text: "One.\n\nTwo." },
          { type: "tool_call", id: "1", name: "weather", arguments: '{"city":"Bern"}' },
          { type: "tool_call", id: "2", name: "cut", arguments: '{"ci' },
        ]),
        message(
          "q",
          [
            { type: "tool_result", id: "1", text: "```\n21", is_error: true },
            { type: "image", file_id: "f" },
            { type: "file", url: "https://example.org/a b", name: "a.pdf" },
          ],
          { role: "user" },
        ),
      ],
      texts,
    );

    expect(markdown).toContain("# Untitled");
    expect(markdown).toContain("> **Reasoning**\n>\n> One.\n>\n> Two.");
    expect(markdown).toContain('Wants to call weather\n\n```json\n{\n  "city": "Bern"\n}\n```');
    expect(markdown).toContain('```json\n{"ci\n```');
    expect(markdown).toContain("A tool failed\n\n````\n```\n21\n````");
    expect(markdown).toContain("*Attached image*\n\n[a.pdf](<https://example.org/a b>)");
  });

  test.each([
    ["```js\nlet a", "```js\nlet a\n```"],
    ["~~~~\n```\n~~~", "~~~~\n```\n~~~\n~~~~"],
    ["- item\n  ```\n  code", "- item\n  ```\n  code\n  ```"],
    ["```\nlet a\n```", "```\nlet a\n```"],
    ["```let a``` is code", "```let a``` is code"],
  ])("ends code that was cut off, so that what follows is none: %j", (text, written) => {
    const answer = message("a", [{ type: "text", text }]);

    const markdown = toMarkdown(titled("x"), [answer, asked("q", "Go on")], texts);

    expect(markdown).toBe(`# x\n\n## Answer (p/m)\n\n${written}\n\n## You\n\nGo on\n`);
  });

  test("ends lines as Markdown does, and keeps the spaces that break them", () => {
    const answer = message("a", [
      { type: "reasoning", text: "One  \ntwo\u2028here\r\n\r\nthree" },
      { type: "text", text: "```js\r\nlet a" },
    ]);
    const markdown = toMarkdown(titled("T"), [answer], texts);
    expect(markdown).toContain("> One  \n> two\u2028here\n>\n> three\n");
    expect(markdown).toMatch(/let a\n```\n$/);
  });

  test("says of an answer that is not whole how it ended", () => {
    const stopped = message("a", [{ type: "text", text: "Hel" }], { status: "stopped" });

    expect(toMarkdown(titled("x"), [stopped], texts)).toMatch(/Hel\n\n\*The answer was stopped/);
  });
});

test("all pages are loaded, and the branch is taken out of them", async () => {
  const first = [asked("q1", "1"), message("a1", [], { parent_id: "q1" })];
  const second = [asked("q2", "2", "a1"), message("a2", [], { parent_id: "q2" })];
  const other = message("a3", [], { parent_id: "q1" });
  const messages = vi
    .fn()
    .mockResolvedValueOnce({ data: [...second, other], next: "before q2" })
    .mockResolvedValueOnce({ data: first, next: null });

  const loaded = await loadAll({ messages }, "c");

  expect(messages.mock.calls).toEqual([["c"], ["c", "before q2"]]);
  expect(loaded.map(({ id }) => id)).toEqual(["q1", "a1", "q2", "a2", "a3"]);
  expect(branchTo(loaded, "a2").map(({ id }) => id)).toEqual(["q1", "a1", "q2", "a2"]);
  expect(branchTo(loaded, "a3").map(({ id }) => id)).toEqual(["q1", "a3"]);
});

test.each([
  ["Why is the sky blue?", "Why is the sky blue"],
  ["为什么：天空", "为什么：天空"],
  ["../../etc/passwd", "etc passwd"],
  ['a\\b/c:d*e?f"g<h>i|j', "a b c d e f g h i j"],
  ["...", "conversation"],
  [null, "conversation"],
  ["💧".repeat(80), "💧".repeat(60)],
])("a file is named after its conversation: %s", (title, name) => {
  expect(fileName({ title })).toBe(name);
});
