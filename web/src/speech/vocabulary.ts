/** The words in which formulas are spoken, in the page's languages. */

export interface Vocabulary {
  /** What TeX's commands and single characters are called. */
  readonly names: Readonly<Record<string, string>>;
  /** Constructions, with their parts as {a} and {b}. */
  readonly phrases: Readonly<Record<Phrase, string>>;
}

type Phrase =
  | ("fraction" | "longFraction" | "binomial" | "root" | "nthRoot")
  | ("subscript" | "power" | "squared" | "cubed" | "prime" | "degrees")
  | ("range" | "from" | "to" | "over" | "limit" | "of")
  | ("above" | "below" | "capital" | "not" | "cancelled" | "boxed" | "modulo")
  | ("matrix" | "row" | "cases")
  | ("hat" | "bar" | "vector" | "dot" | "doubleDot" | "tilde");

/** Letters that both languages write the same way. */
const GREEK =
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi chi psi omega".split(
    " ",
  );
const GREEK_IN_CHINESE =
  "阿尔法 贝塔 伽马 德尔塔 艾普西隆 泽塔 伊塔 西塔 约塔 卡帕 兰姆达 缪 纽 克西 奥密克戎 派 柔 西格玛 陶 宇普西隆 斐 希 普西 欧米伽".split(
    " ",
  );

/** Greek letters by their commands; a capital one begins with a capital, as in TeX. */
function greek(names: readonly string[], capital: string): Record<string, string> {
  const named: Record<string, string> = {};
  GREEK.forEach((letter, index) => {
    const name = names[index] ?? letter;
    named[`\\${letter}`] = named[`\\var${letter}`] = name;
    named[`\\${letter[0]?.toUpperCase()}${letter.slice(1)}`] = capital.replace("{a}", name);
  });
  return named;
}

/** Other commands for the same sign. */
const SYNONYMS: Record<string, string> = {
  ...{ "\\leq": "\\le", "\\leqslant": "\\le", "≤": "\\le", "\\lt": "<", "\\gt": ">" },
  ...{ "\\geq": "\\ge", "\\geqslant": "\\ge", "≥": "\\ge", "\\neq": "\\ne", "≠": "\\ne" },
  ...{ "\\rightarrow": "\\to", "\\longrightarrow": "\\to", "→": "\\to", "≈": "\\approx" },
  ...{ "\\Longrightarrow": "\\Rightarrow", "\\implies": "\\Rightarrow", "×": "\\times" },
  ...{ "\\Leftrightarrow": "\\iff", "\\dots": "\\ldots", "\\cdots": "\\ldots", "…": "\\ldots" },
  ...{ "\\land": "\\wedge", "\\lor": "\\vee", "\\lnot": "\\neg", "\\ast": "*", "∞": "\\infty" },
  ...{ "·": "\\cdot", "−": "-", "±": "\\pm", "\\vert": "|", "\\mid": "|", "\\|": "\\Vert" },
  ...{ "\\emptyset": "\\varnothing", "\\subseteq": "\\subset", "\\gets": "\\leftarrow" },
};

function withSynonyms(names: Record<string, string>): Record<string, string> {
  const all = { ...names };
  for (const [synonym, command] of Object.entries(SYNONYMS)) all[synonym] = names[command] ?? "";
  return all;
}

export const english: Vocabulary = {
  names: withSynonyms({
    ...greek(GREEK, "capital {a}"),
    ...{ "=": "equals", "+": "plus", "-": "minus", "*": "star", "/": "over", "!": "factorial" },
    ...{ "<": "is less than", ">": "is greater than", "|": "bar", "%": "percent", "&": "," },
    ...{ "\\le": "is at most", "\\ge": "is at least", "\\ne": "is not equal to" },
    ...{ "\\ll": "is much less than", "\\gg": "is much greater than", "\\Vert": "norm" },
    ...{ "\\approx": "is approximately", "\\equiv": "is equivalent to", "\\sim": "is similar to" },
    ...{ "\\propto": "is proportional to", "\\cong": "is congruent to", "\\coloneqq": "is" },
    ...{ "\\in": "in", "\\notin": "not in", "\\subset": "is a subset of", "\\setminus": "without" },
    ...{ "\\cup": "union", "\\cap": "intersection", "\\varnothing": "the empty set" },
    ...{ "\\to": "to", "\\mapsto": "maps to", "\\leftarrow": "from", "\\Rightarrow": "implies" },
    ...{ "\\iff": "if and only if", "\\forall": "for all", "\\exists": "there exists" },
    ...{ "\\pm": "plus or minus", "\\mp": "minus or plus", "\\times": "times", "\\cdot": "times" },
    ...{ "\\div": "divided by", "\\circ": "of", "\\oplus": "direct sum", "\\otimes": "tensor" },
    ...{ "\\infty": "infinity", "\\partial": "partial", "\\nabla": "nabla", "\\hbar": "h bar" },
    ...{ "\\ldots": "and so on", "\\wedge": "and", "\\vee": "or", "\\neg": "not", "\\ell": "l" },
    ...{
      "\\sum": "the sum",
      "\\prod": "the product",
      "\\int": "the integral",
      "\\lim": "the limit",
    },
    ...{ "\\iint": "the double integral", "\\oint": "the contour integral" },
    ...{ "\\bigcup": "the union", "\\bigcap": "the intersection", "\\max": "the maximum" },
    ...{ "\\min": "the minimum", "\\sup": "the supremum", "\\inf": "the infimum" },
    ...{ "\\sin": "sine", "\\cos": "cosine", "\\tan": "tangent", "\\ln": "natural log" },
    ...{
      "\\exp": "exponential",
      "\\det": "determinant",
      "\\angle": "angle",
      "\\perp": "is normal to",
    },
    ...{ "\\therefore": "therefore", "\\because": "because", "\\langle": "bra", "\\rangle": "ket" },
  }),
  phrases: {
    fraction: "{a} over {b}",
    longFraction: "the fraction {a}, over {b}, end of fraction",
    binomial: "{a} choose {b}",
    root: "the square root of {a}",
    nthRoot: "the {b}-th root of {a}",
    subscript: "sub {a}",
    power: "to the power of {a}",
    ...{ squared: "squared", cubed: "cubed", prime: "prime", degrees: "degrees" },
    ...{ range: "from {a} to {b}", from: "from {a}", to: "to {a}", over: "over {a}" },
    ...{ limit: "as {a}", of: "of" },
    ...{ above: "{a} with {b} above", below: "{a} with {b} below", capital: "capital {a}" },
    ...{ not: "not {a}", cancelled: "{a} cancelled", boxed: "{a} in a box", modulo: "modulo {a}" },
    ...{ matrix: "the matrix {a}, end of matrix", row: "row {a}: {b}", cases: "{a}, end of cases" },
    ...{ hat: "{a} hat", bar: "{a} bar", vector: "vector {a}", dot: "{a} dot" },
    ...{ doubleDot: "{a} double dot", tilde: "{a} tilde" },
  },
};

export const chinese: Vocabulary = {
  names: withSynonyms({
    ...greek(GREEK_IN_CHINESE, "大写{a}"),
    ...{ "=": "等于", "+": "加", "-": "减", "*": "星", "/": "除以", "!": "的阶乘" },
    ...{ "<": "小于", ">": "大于", "|": "竖线", "%": "百分号", "&": "，" },
    ...{ "\\le": "小于等于", "\\ge": "大于等于", "\\ne": "不等于" },
    ...{ "\\ll": "远小于", "\\gg": "远大于", "\\Vert": "范数" },
    ...{ "\\approx": "约等于", "\\equiv": "恒等于", "\\sim": "相似于" },
    ...{ "\\propto": "正比于", "\\cong": "全等于", "\\coloneqq": "定义为" },
    ...{ "\\in": "属于", "\\notin": "不属于", "\\subset": "包含于", "\\setminus": "差集" },
    ...{ "\\cup": "并", "\\cap": "交", "\\varnothing": "空集" },
    ...{ "\\to": "趋于", "\\mapsto": "映射到", "\\leftarrow": "来自", "\\Rightarrow": "推出" },
    ...{ "\\iff": "当且仅当", "\\forall": "对任意", "\\exists": "存在" },
    ...{ "\\pm": "正负", "\\mp": "负正", "\\times": "乘", "\\cdot": "乘" },
    ...{ "\\div": "除以", "\\circ": "复合", "\\oplus": "直和", "\\otimes": "张量积" },
    ...{ "\\infty": "无穷", "\\partial": "偏", "\\nabla": "纳布拉", "\\hbar": "约化普朗克常数" },
    ...{ "\\ldots": "等等", "\\wedge": "且", "\\vee": "或", "\\neg": "非", "\\ell": "l" },
    ...{ "\\sum": "求和", "\\prod": "求积", "\\int": "积分", "\\lim": "极限" },
    ...{ "\\iint": "二重积分", "\\oint": "曲线积分" },
    ...{ "\\bigcup": "并集", "\\bigcap": "交集", "\\max": "最大值" },
    ...{ "\\min": "最小值", "\\sup": "上确界", "\\inf": "下确界" },
    ...{ "\\sin": "正弦", "\\cos": "余弦", "\\tan": "正切", "\\ln": "自然对数", "\\log": "对数" },
    ...{ "\\exp": "指数函数", "\\det": "行列式", "\\angle": "角", "\\perp": "垂直于" },
    ...{ "\\therefore": "所以", "\\because": "因为", "\\langle": "左矢", "\\rangle": "右矢" },
  }),
  phrases: {
    fraction: "{b} 分之 {a}",
    longFraction: "分式，分子 {a}，分母 {b}，分式结束",
    binomial: "{a} 选 {b}",
    root: "根号 {a}",
    nthRoot: "{b} 次根号 {a}",
    subscript: "下标 {a}",
    power: "的 {a} 次方",
    ...{ squared: "的平方", cubed: "的立方", prime: "撇", degrees: "度" },
    ...{ range: "从 {a} 到 {b}", from: "从 {a}", to: "到 {a}", over: "在 {a} 上" },
    ...{ limit: "当 {a}", of: "：" },
    ...{ above: "{a} 上方 {b}", below: "{a} 下方 {b}", capital: "大写{a}" },
    ...{ not: "不 {a}", cancelled: "划去 {a}", boxed: "方框内 {a}", modulo: "模 {a}" },
    ...{ matrix: "矩阵 {a}，矩阵结束", row: "第 {a} 行：{b}", cases: "{a}，分段结束" },
    ...{ hat: "{a} 帽", bar: "{a} 横线", vector: "向量 {a}", dot: "{a} 点" },
    ...{ doubleDot: "{a} 两点", tilde: "{a} 波浪线" },
  },
};
