/** Zig for highlight.js, which has no grammar of it. */

import type { HLJSApi, Language } from "highlight.js";

export default function zig(hljs: HLJSApi): Language {
  const escape = { scope: "char.escape", match: /\\(?:[nrt'"\\]|x[\da-fA-F]{2}|u\{[\da-fA-F]+\})/ };
  return {
    name: "Zig",
    keywords: {
      keyword:
        "addrspace align allowzero and anyframe anytype asm async await break callconv catch comptime " +
        "const continue defer else enum errdefer error export extern fn for if inline linksection " +
        "noalias noinline nosuspend opaque or orelse packed pub resume return struct suspend switch " +
        "test threadlocal try union unreachable usingnamespace var volatile while",
      literal: "true false null undefined",
      type:
        "bool void noreturn type anyerror anyopaque usize isize comptime_int comptime_float f16 f32 " +
        "f64 f80 f128 u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 c_int c_uint c_long c_ulong c_char",
    },
    contains: [
      hljs.C_LINE_COMMENT_MODE,
      { scope: "string", begin: /\\\\/, end: /$/ }, // each line of a long string begins with \\
      { scope: "string", begin: /@?"/, end: /"/, illegal: /\n/, contains: [escape] },
      { scope: "string", begin: /'/, end: /'/, illegal: /\n/, contains: [escape] },
      { scope: "built_in", match: /@[a-z]\w*/i },
      { match: [/\bfn/, /\s+/, /[A-Za-z_]\w*/], scope: { 1: "keyword", 3: "title.function" } },
      {
        scope: "number",
        match:
          /\b(?:0x[\da-fA-F_]+(?:\.[\da-fA-F_]+)?(?:p[+-]?\d+)?|0o[0-7_]+|0b[01_]+|\d[\d_]*(?:\.[\d_]+)?(?:e[+-]?\d+)?)\b/i,
      },
    ],
  };
}
