import type { LanguageFn } from "highlight.js";
import hljs from "highlight.js/lib/core";
import { describe, expect, test } from "vitest";
import type { VNode, VNodeArrayChildren } from "vue";
import { GRAMMARS } from "../../src/markdown/grammars";
import { loadHighlight } from "../../src/markdown/highlight";
import { fileName, languageOf } from "../../src/markdown/languageNames";

/** The coloured pieces of `nodes`, by their class. */
function coloured(nodes: VNodeArrayChildren): [string, string][] {
  return (nodes as (VNode | string)[]).flatMap((node) => {
    if (typeof node === "string") return [];
    const children = node.children as VNodeArrayChildren;
    const text = children.filter((child) => typeof child === "string").join("");
    return [[String(node.props?.["class"]), text] as [string, string], ...coloured(children)];
  });
}

async function colours(name: string, code: string): Promise<[string, string][]> {
  return coloured((await loadHighlight(name))?.(code) ?? []);
}

describe("a language is known by the name that models give it", () => {
  test.each([
    ["Python3", "python"],
    ["python3.12", "python"],
    ["PY", "python"],
    ["{.python", "python"],
    ["{python}", "python"],
    ["lang-js", "javascript"],
    ["language-tsx", "typescript"],
    ["js{1,3-5}", "javascript"],
    ["ts:src/app.ts", "typescript"],
    ["src/main.rs", "rust"],
    ["Dockerfile", "dockerfile"],
    ["docker", "dockerfile"],
    ["docker-compose.yml", "yaml"],
    ["C++", "cpp"],
    ["C++17", "cpp"],
    ["C#", "csharp"],
    ["F#", "fsharp"],
    ["objective-c", "objectivec"],
    ["Objective-C++", "objectivec"],
    ["PowerShell", "powershell"],
    ["pwsh", "powershell"],
    ["nginx.conf", "nginx"],
    ["vue", "xml"],
    ["html", "xml"],
    ["dart", "dart"],
    ["scala", "scala"],
    ["haskell", "haskell"],
    ["elixir", "elixir"],
    ["latex", "latex"],
    ["tex", "latex"],
    ["zig", "zig"],
    ["shell", "shell"],
    ["zsh", "bash"],
    ["toml", "ini"],
    ["java-17", "java"],
    ["php8", "php"],
    ["postgresql", "pgsql"],
  ])("%s", (name, language) => {
    expect(languageOf(name)).toBe(language);
  });

  test.each(["", "text", "plaintext", "nonsense", "constructor", "__proto__", "..", "{}", "1"])(
    "%j is none",
    async (name) => {
      expect(languageOf(name)).toBeUndefined();
      expect(await loadHighlight(name)).toBeUndefined();
    },
  );

  test("and by every name that its grammar gives it, but for those of others", async () => {
    const unknown: string[] = [];
    for (const [language, load] of Object.entries(GRAMMARS)) {
      const grammar: LanguageFn = (await load()).default;
      for (const alias of grammar(hljs).aliases ?? [])
        if (languageOf(alias) === undefined) unknown.push(`${language}: ${alias}`);
    }

    expect(unknown).toEqual([]);
  });

  test("every name leads to a grammar", () => {
    for (const name of Object.keys(GRAMMARS)) expect(languageOf(name)).toBe(name);
  });
});

describe("code is coloured", () => {
  test.each([
    ["docker", "FROM alpine\nRUN apk add git", "hljs-keyword", "FROM"],
    ["powershell", "function Get-It { return 1 }", "hljs-keyword", "function"],
    ["nginx", "server { listen 80; }", "hljs-section", "server"],
    ["vue", "<script setup>\nconst a = 1;\n</script>", "hljs-keyword", "const"],
    ["dart", "void main() {}", "hljs-keyword", "void"],
    ["scala", "object A", "hljs-keyword", "object"],
    ["haskell", "module Main where", "hljs-keyword", "module"],
    ["elixir", "defmodule A do\nend", "hljs-keyword", "defmodule"],
    ["latex", "\\section{A}", "hljs-keyword", "\\section"],
    ["zig", 'const std = @import("std");', "hljs-keyword", "const"],
    ["zig", "pub fn main() void {}", "hljs-title function_", "main"],
    ["Python3", "def f(): pass", "hljs-keyword", "def"],
    ["html", "<p>a</p>", "hljs-name", "p"],
    ["diff", "+ a\n- b", "hljs-addition", "+ a"],
  ])("%s", async (name, code, scope, text) => {
    expect(await colours(name, code)).toContainEqual([scope, text]);
  });
});

test.each([
  ["Python3", "code.py"],
  ["c++", "code.cpp"],
  ["tsx", "code.tsx"],
  ["javascript", "code.js"],
  ["html", "code.html"],
  ["vue", "code.vue"],
  ["dockerfile", "code.dockerfile"],
  ["src/main.rs", "main.rs"],
  ["../../nginx.conf", "nginx.conf"],
  ["", "code.txt"],
  ["nonsense", "code.txt"],
  ["x.exe", "code.txt"],
])("code in %j is saved as %s", (language, name) => {
  expect(fileName(language)).toBe(name);
});
