import { expect, test } from "vitest";
import { formulaText } from "../../src/speech/formulaText";

test.each([
  ["E = mc^2", "E equals m c squared", "E 等于 m c 的平方"],
  [String.raw`\frac{a}{b}`, "a over b", "b 分之 a"],
  [
    String.raw`\frac{I_{450}}{I_{700}} \approx 5.9`,
    "the fraction I sub 450, over I sub 700, end of fraction is approximately 5.9",
    "分式，分子 I 下标 450，分母 I 下标 700，分式结束 约等于 5.9",
  ],
  [String.raw`\sum_{i=1}^{n} i`, "the sum from i equals 1 to n of i", "求和 从 i 等于 1 到 n：i"],
  [
    String.raw`\lim\limits_{x \to 0} \sin x`,
    "the limit as x to 0 of sine x",
    "极限 当 x 趋于 0：正弦 x",
  ],
  [String.raw`\lambda^{-4}`, "lambda to the power of minus 4", "兰姆达 的 减 4 次方"],
  [
    String.raw`\sqrt[3]{x} \le \sqrt{\pi}`,
    "the 3-th root of x is at most the square root of pi",
    "3 次根号 x 小于等于 根号 派",
  ],
  [String.raw`\cancel{x} + \boxed{y}`, "x cancelled plus y in a box", "划去 x 加 方框内 y"],
  [
    String.raw`x \in \mathbb{R}, f'(x) \to \infty`,
    "x in R, f prime ( x ) to infinity",
    "x 属于 R, f 撇 ( x ) 趋于 无穷",
  ],
  [
    String.raw`\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}`,
    "the matrix row 1: 1, 2; row 2: 3, 4, end of matrix",
    "矩阵 第 1 行：1，2; 第 2 行：3，4，矩阵结束",
  ],
  [
    String.raw`\begin{aligned} a &= b \\ &= c \end{aligned}`,
    "a equals b; equals c",
    "a 等于 b; 等于 c",
  ],
  [
    String.raw`\text{speed of light} \ne \ce{H2O}`,
    "speed of light is not equal to H2O",
    "speed of light 不等于 H2O",
  ],
  [String.raw`\left( \Gamma \right. 90^\circ`, "( capital gamma 90 degrees", "( 大写伽马 90 度"],
  [String.raw`\unheardof{x}`, "unheardof x", "unheardof x"],
])("%s", (tex, inEnglish, inChinese) => {
  expect(formulaText(tex, "en")).toBe(inEnglish);
  expect(formulaText(tex, "zh")).toBe(inChinese);
});

test("what is unbalanced or nested without end is spoken as far as it goes", () => {
  expect(formulaText(String.raw`a } b`, "en")).toBe("a b");
  expect(formulaText(String.raw`\frac{a`, "en")).toBe("a over");
  expect(formulaText("x" + "^{x".repeat(5000), "en")).toMatch(/^x to the power of x/);
});
