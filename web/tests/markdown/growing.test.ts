import { describe, expect, test } from "vitest";
import { GrowingMarkdown } from "../../src/markdown/growing";
import { parse, type Block } from "../../src/markdown/parser";

/** Where one block may be taken for another until its line is whole, and other traps. */
const TEXTS = [
  "para\n#hashtag\n\n# heading\n",
  "para\n***bold*** end\n\n***\nafter",
  "para\n---\npara\n- item\n- item\n\n  in the item\n\nafter\n",
  "para\na | b\n--- | ---\n1 | 2\n\nafter | x\n--- | --x\n",
  "```js\nlet a = 1;\n\n# no heading\n```\n```code``` inline\n\n~~~\nopen",
  "> quote\nlazy\n\n> another\n\n1. one\n2. two\n   ```py\n   x\n   ```\n3. three\n",
  "    code\n\n    more code\nafter\n",
  "$$\nx = 1\n$$\n\n\\[\ny\n\\]\ntext \\(z\\) and $5\n",
  "one\n\ntwo\n\n\n\nthree\n",
  "[a]: https://a.example\n\n[a] and [b][a]\n\nend",
  "天空\n\n- 蓝\n- 白\n\n**散射**。",
  "a\r\n\r\nb\r\n",
];

/** What is drawn: tokens without the lines that they came from, which a part counts anew. */
function drawn(blocks: readonly Block[]): unknown {
  return blocks.map(({ key, tokens }) => ({
    key,
    tokens: tokens.map(({ type, tag, content, info, attrs, children }) => ({
      ...{ type, tag, content, info, attrs },
      children: children?.map(({ type, content, attrs }) => ({ type, content, attrs })),
    })),
  }));
}

describe("a text that grows", () => {
  test.each(TEXTS)("is at every point what its whole would be: %j", (text) => {
    const growing = new GrowingMarkdown();
    for (let end = 1; end <= text.length; end++) {
      const part = text.slice(0, end);

      expect(drawn(growing.update(part)), part).toEqual(drawn(parse(part, {})));
    }
  });

  test.each(TEXTS)("in pieces of any size: %j", (text) => {
    for (let size = 2; size < 12; size++) {
      const growing = new GrowingMarkdown();
      let blocks: Block[] = [];
      for (let end = size; end < text.length + size; end += size)
        blocks = growing.update(text.slice(0, end));

      expect(drawn(blocks)).toEqual(drawn(parse(text, {})));
    }
  });

  test("blocks that are over stay the same objects", () => {
    const growing = new GrowingMarkdown();
    growing.update("one\n\ntwo\n\nthr");
    const before = growing.update("one\n\ntwo\n\nthree");
    const after = growing.update("one\n\ntwo\n\nthree\n\nfour");
    const later = growing.update("one\n\ntwo\n\nthree\n\nfour and more");

    expect(after[0]).toBe(before[0]);
    expect(later.slice(0, 2)).toEqual(after.slice(0, 2));
    expect(later[1]).toBe(after[1]);
  });

  test("a text that is another one begins anew", () => {
    const growing = new GrowingMarkdown();
    growing.update("one\n\ntwo\n\nthree\n");

    expect(drawn(growing.update("other\n\ntext"))).toEqual(drawn(parse("other\n\ntext", {})));
  });
});
