import temml from "temml";
import { describe, expect, test } from "vitest";
import { MACROS, maxChars, prepared } from "../../src/markdown/texPreparation";

function mathML(tex: string): string {
  return temml.renderToString(prepared(tex), {
    displayMode: true,
    throwOnError: true,
    macros: { ...MACROS },
  });
}

describe("a formula keeps its meaning in browsers with MathML Core", () => {
  test.each([
    [String.raw`\mathbb{R}`, "ℝ"],
    [String.raw`\mathcal{L}`, "ℒ"],
    [String.raw`\mathbf{x}`, "𝐱"],
    [String.raw`\mathfrak{g}`, "𝔤"],
    [String.raw`\cancel{x}`, "tml-cancel upstrike"],
    [String.raw`\bcancel{x}`, "tml-cancel downstrike"],
    [String.raw`\boxed{x}`, "border:1px solid"],
    [String.raw`\begin{aligned} a &= b \\ c &= d \end{aligned}`, 'class="tml-right"'],
    [String.raw`\ce{H2O}`, "<mn>2</mn>"],
    [String.raw`\begin{eqnarray*} a &=& b \end{eqnarray*}`, "<mtable"],
    [String.raw`\newcommand{\R}{\mathbb{R}} \R`, "ℝ"],
    [String.raw`\text{if } x \mbox{ is even} \hdots`, "…"],
  ])("%s", (tex, expected) => {
    expect(mathML(tex)).toContain(expected);
  });
});

describe("labels and references", () => {
  test("a label gives no element an id", () => {
    const made = mathML(String.raw`\begin{equation} x = 1 \label{app} \end{equation}`);

    expect(made).toContain("<mi>x</mi>");
    expect(made).not.toContain("id=");
  });

  test("a reference names its label and links nowhere", () => {
    const made = mathML(String.raw`\eqref{eq:mass_1} \ref{b}`);

    expect(made).toContain("(eq:mass_1)");
    expect(made).not.toContain("href");
  });
});

test("a formula that defines commands may be less long, since it may write little for much", () => {
  expect(maxChars("\\def\\a{x}")).toBeLessThan(maxChars("\\default \\letter"));
});
