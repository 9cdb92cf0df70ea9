import { describe, expect, test } from "vitest";
import { nextTick } from "vue";
import { IncrementalMarkdown } from "../../src/markdown/incrementalMarkdown";
import { parse } from "../../src/markdown/parser";
import { render, type DrawnParts } from "../../src/markdown/render";
import { all, Drawing, textIn, type PageNode } from "./drawing";

/** Draws a text that grows as the page does. */
function growing(): { drawing: Drawing; grow: (text: string) => Promise<void> } {
  const markdown = new IncrementalMarkdown();
  const parts: DrawnParts = new WeakMap();
  let text = "";
  const drawing = new Drawing(() =>
    markdown.update(text).flatMap(({ tokens }) => render(tokens, true, parts)),
  );
  const grow = async (next: string) => {
    text = next;
    drawing.draw();
    await nextTick();
  };
  return { drawing, grow };
}

/** Whether the first of `nodes` are the same objects as `before`. */
function isContinued(before: readonly PageNode[], nodes: readonly PageNode[]): boolean {
  return before.every((node, index) => node === nodes[index]);
}

/** The text as it is drawn at once. */
function whole(text: string): string {
  const nodes = parse(text, {}).flatMap(({ tokens }) => render(tokens, true));
  return textIn(new Drawing(() => nodes).root);
}

describe("of a list that grows", () => {
  test("the items stay the elements that they are, and few are made", async () => {
    const { drawing, grow } = growing();
    const item = (number: number) => `1. item **${number}**\n   - within it\n`;
    let text = "";
    for (let number = 0; number < 100; number++) await grow((text += item(number)));
    const items = all(drawing.root, "li");
    const texts = all(drawing.root, "text");
    expect(items).toHaveLength(200);
    drawing.made = 0;
    await grow((text += item(100)));

    expect(isContinued(items, all(drawing.root, "li"))).toBe(true);
    expect(isContinued(texts, all(drawing.root, "text"))).toBe(true);
    expect(all(drawing.root, "ol")).toHaveLength(1);
    expect(drawing.made).toBeLessThan(10);
    expect(drawing.removed).toBe(0);
    expect(textIn(drawing.root)).toBe(whole(text));
  });

  test("all items have paragraphs once an empty line is between two of them", async () => {
    const { drawing, grow } = growing();
    let text = "- a\n  - b\n- c\n- d\n";
    await grow(text);
    expect(all(drawing.root, "p")).toHaveLength(0);
    await grow((text += "\n- e"));
    expect(all(drawing.root, "p")).toHaveLength(4);
    await grow((text += "\n- f\n- g\n"));

    expect(all(drawing.root, "p")).toHaveLength(6);
    expect(all(drawing.root, "ul")).toHaveLength(2);
    expect(textIn(drawing.root)).toBe(whole(text));
  });
});
