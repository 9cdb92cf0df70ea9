import { describe, expect, test } from "vitest";
import type { Formula } from "../../src/markdown/mathSyntax";
import { tokensOf } from "./reading";

/** `text` with each formula in brackets, those on lines of their own in double ones. */
function formulas(text: string): string {
  return tokensOf(text)
    .map(({ type, content, meta }) => {
      if (type === "math_block") return `[[${content}]]`;
      if (type === "math_inline")
        return (meta as Formula).display ? `[[${content}]]` : `[${content}]`;
      if (type === "softbreak") return " / ";
      return type === "text" || type === "code_inline" ? content : "";
    })
    .join("");
}

describe("a formula", () => {
  test.each([
    ["a $x^2$ b", "a [x^2] b"],
    ["设$x$为实数，$f(x)=y$。", "设[x]为实数，[f(x)=y]。"],
    [String.raw`a \(x\) b`, "a [x] b"],
    ["GitHub's $`a_1`$", "GitHub's [a_1]"],
    ["the $n$th, $k$-means, 3$\\times$4", "the [n]th, [k]-means, 3[\\times]4"],
    ["$速度=距离/时间$", "[速度=距离/时间]"],
    ["**$x$** and *$y$*", "[x] and [y]"],
    ["$a*b*c$ and $a_b_c$", "[a*b*c] and [a_b_c]"],
    ["$\\$5$", "[\\$5]"],
  ])("within a line: %s", (text, expected) => {
    expect(formulas(text)).toBe(expected);
  });

  test.each([
    ["$$x$$", "[[x]]"],
    ["$$\nx\n$$", "[[x]]"],
    ["text\n$$\nx\n$$\ntext", "text[[x]]text"],
    ["so $$x = 1$$ holds", "so [[x = 1]] holds"],
    ["so $$x\n= 1$$ holds", "so [[x\n= 1]] holds"],
    ["\\[x\\]", "[[x]]"],
    ["so \\[ x \\] and \\[x^2\\]", "so [[x]] and [[x^2]]"],
    ["\\[\na\n\nb\n\\]", "[[a\n\nb]]"],
    ["- item:\n  \\[\n  x\n  \\]\n- $$y$$", "item:[[x]][[y]]"],
    ["> $$\n> x\n> $$", "[[x]]"],
    ["```math\nx\n```", "[[x]]"],
    ["| a |\n|---|\n| $x$ |", "a[x]"],
  ])("on lines of its own: %j", (text, expected) => {
    expect(formulas(text)).toBe(expected);
  });

  test.each([
    "equation",
    "equation*",
    "align",
    "align*",
    "gather",
    "multline",
    "alignat",
    "eqnarray",
    "cases",
    "pmatrix",
    "aligned",
  ])("as LaTeX's %s", (name) => {
    const tex = `\\begin{${name}}\na &= b \\\\\n\nc\n\\end{${name}}`;

    expect(formulas(`Then\n${tex}\nholds`)).toBe(`Then[[${tex}]]holds`);
    expect(formulas(`so ${tex.replace("\n\n", "\n")} holds`)).toBe(
      `so [[${tex.replace("\n\n", "\n")}]] holds`,
    );
  });

  test("with another environment of the same name in it", () => {
    const tex = "\\begin{cases} \\begin{cases} a \\end{cases} \\\\ b \\end{cases}";

    expect(formulas(tex)).toBe(`[[${tex}]]`);
  });

  test("keeps the punctuation that follows it", () => {
    expect(formulas("$$x$$.\n\nso \\[ y \\], and\n\n$$z$$。")).toBe("[[x.]]so [[y,]] and[[z。]]");
  });

  test("knows how it was written", () => {
    const sources = tokensOf("$x$ \\(y\\) $$z$$\n\n\\[\nw\n\\]").flatMap(({ meta }) =>
      meta ? (meta as Formula).source : [],
    );

    expect(sources).toEqual(["$x$", "\\(y\\)", "$$z$$", "\\[\nw\n\\]"]);
  });

  test("that is not ended yet knows that", () => {
    const [token] = tokensOf("$$\n\\frac{1");

    expect(token).toMatchObject({
      type: "math_block",
      content: "\\frac{1",
      meta: { isComplete: false },
    });
  });
});

test.each([
  "It costs $5 and $10.",
  "$5-$10, $20–$30",
  "US$5 and A$10",
  "10$-20$ a month",
  "about 5$ or $6",
  "echo $HOME/$USER:$PATH",
  "a $5 fee versus some 3$ fee",
  "从$5涨到6$之间",
  "a $ b $ c",
  "$x",
  "[1] Smith",
])("a dollar or a bracket that is no formula's stays as it is: %s", (text) => {
  expect(formulas(text)).toBe(text);
});

test.each([
  ["costs $5, see `$x`", "costs $5, see $x"],
  ["\\$5 and \\$6", "$5 and $6"],
  ["\\[1\\] and \\[sic\\](a)", "[1] and [sic](a)"],
  ["\\[1\\] Smith\n\\[2\\] Jones", "[1] Smith / [2] Jones"],
  ["a \\\\(b\\\\)", "a \\(b\\)"],
  ["`$x$` and `\\(y\\)`", "$x$ and \\(y\\)"],
  ["    $$x$$", ""],
])("nor is what Markdown escapes or takes for code: %s", (text, expected) => {
  expect(formulas(text)).toBe(expected);
});

describe("a formula that never ends", () => {
  test("ends before the next heading or code", () => {
    expect(formulas("$$\nx\n\n# heading")).toBe("$$ / xheading");
    expect(formulas("\\[\nx\n\n```js\ny\n```")).toBe("[ / x");
  });

  test("ends after a while", () => {
    const rest = "text\n\n".repeat(1000);

    expect(formulas(`$$\n${rest}`)).toMatch(/^\$\$ \/ texttext/);
  });

  test("is no formula if text stands beside its beginning", () => {
    expect(formulas("$$ each\n\nand $$ every")).toBe("$$ eachand $$ every");
  });
});

test.each([
  "\\(",
  "\\[ a",
  "$",
  "$`",
  "$$",
  "\\begin{align}",
  "$a ",
  "\\[\n",
  "\\begin{align}\n",
  "$" + "a".repeat(9),
])("eighty thousand characters of %j are parsed in one go", (piece) => {
  // Quadratic work would take minutes, and the test would time out.
  expect(tokensOf(piece.repeat(80_000 / piece.length)).length).toBeGreaterThan(0);
});
