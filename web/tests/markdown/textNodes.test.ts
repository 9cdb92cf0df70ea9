import { expect, test } from "vitest";
import type { VNode } from "vue";
import { parse } from "../../src/markdown/parser";
import { render } from "../../src/markdown/render";

/** The texts of the text nodes in a paragraph. */
function textNodes(text: string): string[] {
  const [paragraph] = render(parse(text, {})[0]?.tokens ?? [], true) as VNode[];
  return paragraph?.children as unknown as string[];
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
