import { describe, expect, it, test } from "vitest";
import type { VNode } from "vue";
import { parse } from "../../src/markdown/parser";
import { render } from "../../src/markdown/render";

/** What is in a paragraph: text nodes, elements, or pieces. */
function partsOf(text: string, growing = true): (VNode | string)[] {
  const [paragraph] = render(parse(text, {})[0]?.tokens ?? [], growing) as VNode[];
  return paragraph?.children as unknown as (VNode | string)[];
}

/** The texts of the text nodes in a paragraph. */
function textNodes(text: string): string[] {
  return partsOf(text).flatMap((part) =>
    typeof part === "string" ? part : (part.children as unknown as string[]),
  );
}

test.each(["some words, and ", "一些文字，", 'a "quoted" word\n', "x"])(
  "of a paragraph of %j that grows, only the last text node changes",
  (piece) => {
    const whole = piece.repeat(Math.ceil(9000 / piece.length));
    let before: string[] = [];
    for (let end = 100; end < whole.length; end += 100) {
      const nodes = textNodes(whole.slice(0, end));

      expect(nodes.join("")).toBe(whole.slice(0, end).trim());
      expect(nodes.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
      before = nodes;
    }

    expect(before.length).toBeGreaterThan(piece === "x" ? 0 : 3);
  },
);

describe("a very long paragraph", () => {
  const line = "some words, **and strong ones,** and\n";
  const text = line.repeat(900);
  const classes = (parts: (VNode | string)[]) =>
    parts.map((part) => (typeof part === "string" ? part : (part.props?.class as unknown)));

  it("is in pieces that are blocks while it grows, and of one flow when it has ended", () => {
    expect(classes(partsOf(text))).toEqual(Array(4).fill("text-piece"));
    expect(classes(partsOf(text, false))).toEqual(Array(4).fill(undefined));
  });

  it("has all of its text, in pieces that do not change once there is another one", () => {
    let before: unknown[] = [];
    for (let end = 500 * line.length; end < text.length; end += 20 * line.length) {
      const parts = partsOf(text.slice(0, end)).map((part) => wordsOf(part));

      expect(parts.join("")).toBe(text.slice(0, end).replaceAll("**", "").trim());
      expect(parts.slice(0, Math.max(0, before.length - 1))).toEqual(before.slice(0, -1));
      before = parts;
    }
  });

  it("is in none if it is not that long", () => {
    expect(partsOf("word ".repeat(1000)).every((part) => typeof part === "string")).toBe(true);
  });
});

function wordsOf(part: unknown): string {
  if (typeof part === "string") return part;
  if (Array.isArray(part)) return part.map(wordsOf).join("");
  return wordsOf((part as VNode).children);
}
