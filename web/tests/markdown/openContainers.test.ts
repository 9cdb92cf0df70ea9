import { beforeEach, describe, expect, test, vi } from "vitest";
import { isVNode, type VNode } from "vue";
import { IncrementalMarkdown } from "../../src/markdown/incrementalMarkdown";
import { render, type DrawnParts } from "../../src/markdown/render";

/** The lengths of the texts that were parsed. */
const parsed = vi.hoisted((): number[] => []);
vi.mock("../../src/markdown/parser", async (original) => {
  const parser = await original<typeof import("../../src/markdown/parser")>();
  const parse: typeof parser.parse = (text, ...others) => {
    parsed.push(text.length);
    return parser.parse(text, ...others);
  };
  return { ...parser, parse };
});
beforeEach(() => void (parsed.length = 0));

/** Beginnings of containers, and what they may go on with for ever. */
const ENDLESS: Record<string, [beginning: string, part: string]> = {
  "a tight list": ["", "- item **number** one\n"],
  "a loose list": ["", "- item **number** one\n\n"],
  "a numbered list with paragraphs and code": [
    "",
    "1. item\n\n   text\n\n   ```js\n   x\n   ```\n",
  ],
  "a list in a list": ["1. first\n", "   - item\n"],
  "a list that begins on the line of another": ["- - item\n", "  - item\n"],
  "lists in each other": ["", "- one\n  - two\n    - three\n"],
  "an item": ["- item\n", "\n  paragraph\n"],
  "a list without texts": ["", "- ```\n  code\n  ```\n"],
  "a table": ["| a | b |\n|---|:-:|\n", "| 1 | `2` |\n"],
  "a table in a list": ["- | a | b |\n  |---|---|\n", "  | 1 | 2 |\n"],
  "a quote": ["", "> paragraph\n> goes on\n>\n"],
  "a list in a quote": ["> text\n>\n", "> - item\n"],
  details: ["<details><summary>A</summary>\n\n", "paragraph\n\n- item\n\n```\ncode\n```\n\n"],
  "a list in details": ["<details open>\n\n", "- item\n"],
  "details in details in a list": ["- <details>\n  <details>\n\n", "  > quote\n\n  text\n\n"],
  "a quote in a quote": ["", "> > paragraph\n> >\n"],
};

/** More than the parts that are parsed at once: the one before the last line, and the last one. */
const FEW_CHARS = 200;

describe.each(Object.entries(ENDLESS))("%s that grows", (_name, [beginning, part]) => {
  const markdown = new IncrementalMarkdown();
  const textOf = (count: number) => beginning + part.repeat(count);
  const draw = (count: number) => markdown.update(`${textOf(count)}${part.slice(0, 5)}`);

  test("is parsed from its last part on", () => {
    for (let count = 1; count < 300; count++) draw(count);

    expect(Math.max(...parsed)).toBeLessThan(FEW_CHARS);
  });

  test("has the nodes again that it had, but for its last part", () => {
    const parts: DrawnParts = new WeakMap();
    const nodesOf = (count: number) =>
      nodesIn(render(draw(count).at(-1)?.tokens ?? [], true, parts));
    for (let count = 1; count < 300; count++) nodesOf(count);
    const before = new Set(nodesOf(300));
    const added = nodesOf(301).filter((node) => !before.has(node));

    expect(before.size).toBeGreaterThan(300);
    expect(added.length).toBeLessThan(30);
  });
});

/** The elements and components among `nodes` and within them. */
function nodesIn(nodes: unknown): VNode[] {
  if (Array.isArray(nodes)) return nodes.flatMap(nodesIn);
  if (!isVNode(nodes)) return [];
  const children = nodes.children as { default?: () => unknown } | unknown[] | null;
  const inner = Array.isArray(children) ? children : children?.default?.();
  return [nodes, ...nodesIn(inner)];
}
