import { describe, expect, test } from "vitest";
import { IncrementalMarkdown } from "../../src/markdown/incrementalMarkdown";
import { unfolded } from "../../src/markdown/finishedTokens";
import { parse, type MarkdownBlock } from "../../src/markdown/parser";

/** Texts in which a block looks like another one until its line is complete, and other traps. */
const TEXTS = [
  "para\n#hashtag\n\n# heading\n",
  "para\n***bold*** end\n\n***\nafter",
  "para\n---\npara\n- item\n- item\n\n  in the item\n\nafter\n",
  "para\na | b\n--- | ---\n1 | 2\n\nafter | x\n--- | --x\n",
  "```js\nlet a = 1;\n\n# no heading\n```\n```code``` inline\n\n~~~\nopen",
  "> quote\nlazy\n\n> another\n\n1. one\n2. two\n   ```py\n   x\n   ```\n3. three\n",
  "    code\n\n    more code\nafter\n",
  "$$\nx = 1\n$$\n\n\\[\ny\n\\]\ntext \\(z\\) and $5\n",
  "text\n$$\na\n\nb\n$$\nafter\n\n$$\na\n\n# heading\n\n$$\nx\n",
  "text\n\\[\na\n\n- b\n\\]\n\n\\[ a\n\n\\] and\n\n$$ a\n- b\n\nc $$\n",
  "\\begin{align}\na\n\nb \\end{align}\nnext\n\\begin{align} a \\end{align} text\n\n$$a$$ text\n",
  "- $$\n  a\n\n  b\n- \\[ c\n\nd\n> $$\n> e\nf\n\n```math\ng\n```\n",
  "one\n\ntwo\n\n\n\nthree\n",
  "[a]: https://a.example\n\n[a] and [b][a]\n\nend",
  "天空\n\n- 蓝\n- 白\n\n**散射**。",
  "**重点：**这是**“引号”**的\n\n见https://a.example，**（完）**也\n\n末",
  "<details>\n<summary>T</summary>\n\na\n\n```\n</details>\n```\n</details> rest\n\nafter\n",
  "<details><summary>A\n\nb <details>\nc</details>\n\n- d\n</details>\n\n<details>x</details>\ny\n",
  "- <details>\n  a\n\n  </details>\n- b\n\n> <details>\n> c\n\nd </details>\n\ne\n",
  "a <!-- b --> c\n<!-- d\n\ne --> f\n\n<!-- g -->\nh\n<!-- i -->j\n\n- <!-- k\n\nl\n<!--\nm",
  "<kbd>A</kbd> <b>c\n\nd</b> **<i>e</i>**<br>f\n\n<a href='https://a.example'>g</a>\n",
  "a ![b](data:image/png;base64,iVBORw0KGgo=) c\n\n![d](data:image/gif;base64,R0lG\n\ne\n",
  "a[^1] b[^x-y] [^a-z]\n\n[^1]: One\ngoes on\n\n    and on\n\n    - c\n[^x-y]: Two\n\nd[^1]\n",
  "- a[^1]\n[^1]: note\n> b\n\n> [^2]: within\n\n[^3]:\n\n    empty at first\n\ne\n",
  "- [ ] open\n- [x] done\n  - [X] within\n\n[x] none\n\n1. [ ] loose\n\n2. [x] list\n",
  "> - a\n>\n> - b\n>\n> # c\n>\n> - d\n> - e\n> - f\n>\n> - g",
  "  - a\n\n  - | b | c |\n    |---|:-:|\n    | d | e |\n    | f |\n   - g\n- h\n",
  "<details><summary>a</summary>\n  b\n\n- <details>\n  </details>\n\n- <details>\n- c\n- d\n",
  "<details>\n\n- a\n\n  ```\n  </details>\n  ```\n- b\n- c\n</details>\n\nd\n",
  "- <details>- a\n    > b\n- c\n\n+ <details>\n\t+     d\n\t    e\n",
  "- <details>\n\n  - a\n  - b\n\n    c\n  </details>\n\n- d\n",
  "  +\n       -   a\n\n           b\n       - c\n\n       * d\n",
  "a\r\n\r\nb\r\n",
  "a\rb\n\nc\n\n```\n 5%\r50%\r\r100%\r\n```\n\nd\r\re\r\r\n\nf\n\ng",
];

/** The blocks without their line numbers, which count from where parsing began. */
function comparable(blocks: readonly MarkdownBlock[]): unknown {
  return blocks.map(({ key, tokens }) => ({
    key,
    tokens: unfolded(tokens).map(({ type, tag, hidden, content, info, attrs, meta, children }) => ({
      ...{ type, tag, hidden, content, info, attrs, meta },
      children: children?.map(({ type, content, attrs, meta }) => ({ type, content, attrs, meta })),
    })),
  }));
}

/** What begins, ends or looks like a block or a part of one; a definition of a link excepted. */
const PIECES = {
  formulas:
    "$$|$|\\[|\\]|\\(|\\)|\\begin{align}|\\end{align}|a|x^2| |\n|\n\n|- |# |> |```math\n|```|    |.|5",
  "HTML, notes and tasks":
    "\n|\n\n| |    |- |1. |> |a|重点：|`|```|**|_|[ ] |[^1]|[^1]: |<details>|</details>|<summary>|" +
    "</summary>|<!--|-->|<kbd>|</kbd>|https://a.example|![a](data:image/png;base64,AA|---",
  "lists, tables and quotes":
    "\n|\n|\n|\n\n|\n\n| |  |    |- |- |* |1. |2) |> |> |a|b|# |```|***|---|===|\t|¦ |¦a¦b¦|\n¦-¦:-¦\n|<details>\n|</details>\n",
};

/** Numbers from 0 to below 1 that are the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe("a growing text", () => {
  test.each(TEXTS)("is parsed at every length as it would be at once: %j", (text) => {
    const markdown = new IncrementalMarkdown();
    for (let end = 1; end <= text.length; end++) {
      const part = text.slice(0, end);

      expect(comparable(markdown.update(part)), part).toEqual(comparable(parse(part, {})));
    }
  });

  test.each(Object.entries(PIECES))(
    "is parsed at every length as it would be at once, whatever %s are in it",
    (_kind, pieces) => {
      const random = seeded(2026);
      const pool = pieces.split("|").map((piece) => piece.replaceAll("¦", "|"));
      for (let count = 0; count < 33; count++) {
        let text = "";
        while (text.length < 90) text += pool[Math.floor(random() * pool.length)];
        const markdown = new IncrementalMarkdown();
        for (let end = 1; end <= text.length; end++) {
          const part = text.slice(0, end);

          expect(comparable(markdown.update(part)), part).toEqual(comparable(parse(part, {})));
        }
      }
    },
  );

  test.each(TEXTS)("is parsed in pieces of any size as it would be at once: %j", (text) => {
    for (let size = 2; size < 12; size++) {
      const markdown = new IncrementalMarkdown();
      let blocks: MarkdownBlock[] = [];
      for (let end = size; end < text.length + size; end += size)
        blocks = markdown.update(text.slice(0, end));

      expect(comparable(blocks)).toEqual(comparable(parse(text, {})));
    }
  });

  test.each([
    ...TEXTS,
    "See [a][1].\n\nThen [b].\n\n[1]: https://a.example\n[b]: https://b.example",
    "[a]\n\n- b\n\n[a]: https://a.example\n\n> c\n\nend\n",
    "[a]\n\n> b\n\n- [a]: https://a.example\n",
  ])("is, once it is complete, what it would be at once: %j", (text) => {
    const markdown = new IncrementalMarkdown();
    for (let end = 1; end <= text.length; end++) markdown.update(text.slice(0, end));

    expect(comparable(markdown.finish(text))).toEqual(comparable(parse(text, {})));
  });

  test("is at last what it would be at once, also where its parts are not: in a table of many gaps", () => {
    const row = (cells: string[]) => `|${cells.join("|")}|\n`;
    const head = Array<string>(1000).fill("x");
    const start = row(head) + row(head.map(() => "-"));
    const textOf = (rows: number) => start + row(["a"]).repeat(rows);
    const text = textOf(70);
    const tokenCounts = (blocks: readonly MarkdownBlock[]) =>
      blocks.map(({ tokens }) => unfolded(tokens).length);
    const markdown = new IncrementalMarkdown();
    markdown.update(textOf(20));

    const whole = tokenCounts(parse(text, {}));
    expect(tokenCounts(markdown.update(text))).not.toEqual(whole);
    expect(tokenCounts(markdown.finish(text))).toEqual(whole);
  });

  test("a block that was right before the text was complete stays the same object", () => {
    const text = "one\n\n[a]\n\n- two\n- three\n- four\n\n[a]: https://a.example\n";
    const markdown = new IncrementalMarkdown();
    let before: MarkdownBlock[] = [];
    for (let end = 1; end <= text.length; end++) before = markdown.update(text.slice(0, end));

    const [one, link, list] = markdown.finish(text);
    expect(one).toBe(before[0]);
    expect(link).not.toEqual(before[1]);
    expect(list).toBe(before[2]);
  });

  test("finished blocks stay the same objects", () => {
    const markdown = new IncrementalMarkdown();
    markdown.update("one\n\ntwo\n\nthr");
    const before = markdown.update("one\n\ntwo\n\nthree");
    const after = markdown.update("one\n\ntwo\n\nthree\n\nfour");
    const later = markdown.update("one\n\ntwo\n\nthree\n\nfour and more");

    expect(after[0]).toBe(before[0]);
    expect(later.slice(0, 2)).toEqual(after.slice(0, 2));
    expect(later[1]).toBe(after[1]);
  });

  test("another text is parsed from its beginning", () => {
    const markdown = new IncrementalMarkdown();
    markdown.update("one\n\ntwo\n\nthree\n");

    expect(comparable(markdown.update("other\n\ntext"))).toEqual(
      comparable(parse("other\n\ntext", {})),
    );
  });
});
