import { expect, test } from "vitest";
import { outline } from "./reading";

test.each([
  ["**重点：**这是正文", "[strong 重点：]这是正文"],
  ["这是**“引号”**的", "这是[strong “引号”]的"],
  ["这是**‘引号’**的", "这是[strong ‘引号’]的"],
  ["**（括号）**也是", "[strong （括号）]也是"],
  ["也是**（括号）**", "也是[strong （括号）]"],
  ["前**《书名》**后", "前[strong 《书名》]后"],
  ["前**「引用」**後", "前[strong 「引用」]後"],
  ["**结束。**下一句", "[strong 结束。]下一句"],
  ["**何故か？**それは", "[strong 何故か？]それは"],
  ["**마크다운(Markdown)**은", "[strong 마크다운(Markdown)]은"],
  ["**100%**的人", "[strong 100%]的人"],
  ["使用**`code`**来", "使用[strong [code code]]来"],
  ["*注意：*这里", "[em 注意：]这里"],
  ["***重要：***这里", "[em [strong 重要：]]这里"],
  ["~~删除。~~保留", "[s 删除。]保留"],
  ["**“甲”**和**“乙”**都", "[strong “甲”]和[strong “乙”]都"],
  ["**[链接](https://a.example)**后面", "[strong [a 链接]]后面"],
  ["**𠮷。**次", "[strong 𠮷。]次"],
])("emphasis beside punctuation is emphasis in CJK text: %s", (text, expected) => {
  expect(outline(text)).toBe(expected);
});

test.each([
  ["a * b * c", "a * b * c"],
  ["snake_case_name and 2**3**4", "snake_case_name and 2[strong 3]4"],
  ["**bold**text, ** none **", "[strong bold]text, ** none **"],
  ["价格 * 数量 * 折扣", "价格 * 数量 * 折扣"],
])("emphasis elsewhere is CommonMark's: %s", (text, expected) => {
  expect(outline(text)).toBe(expected);
});
