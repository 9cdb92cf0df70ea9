/**
 * The languages of code by the names that models give them: `Python3`, `c++`, `{.js}`, `src/main.rs`.
 *
 * The grammars know aliases themselves, but only once they are loaded.
 */

/** Other names of the languages that have a grammar, how files of them end among these. */
const ALIASES: Readonly<Record<string, string>> = {
  ada: "adb ads",
  apache: "apacheconf htaccess",
  applescript: "osascript",
  arduino: "ino",
  armasm: "s arm aarch64",
  asciidoc: "adoc",
  awk: "gawk",
  bash: "sh zsh ksh bashrc zshrc envrc",
  basic: "bas",
  c: "h",
  clojure: "clj cljs cljc edn",
  cmake: "cmake.in",
  coffeescript: "coffee cson iced",
  coq: "rocq",
  cpp: "cc c++ h++ hpp hh hxx cxx cuda cu cplusplus",
  crystal: "cr",
  csharp: "cs c# dotnet",
  d: "dlang",
  dart: "flutter",
  delphi: "pas pascal dpr dfm objectpascal",
  diff: "patch udiff",
  django: "jinja jinja2 j2",
  dns: "zone bind",
  dockerfile: "docker containerfile",
  dos: "bat cmd batch batchfile",
  ebnf: "bnf abnf",
  elixir: "ex exs heex",
  erb: "eruby",
  erlang: "erl hrl",
  excel: "xlsx xls",
  fortran: "f90 f95 f03 f08 f",
  fsharp: "fs f# fsx",
  gherkin: "feature cucumber",
  glsl: "hlsl wgsl vert frag shader",
  go: "golang gomod",
  graphql: "gql",
  groovy: "jenkinsfile",
  handlebars: "hbs htmlbars mustache",
  haskell: "hs lhs purescript",
  haxe: "hx",
  http: "https rest",
  ini: "toml cfg editorconfig gitconfig systemd service desktop",
  java: "jsp",
  javascript: "js jsx mjs cjs node nodejs ecmascript",
  json: "jsonc json5 jsonl ndjson geojson webmanifest",
  julia: "jl",
  "julia-repl": "jldoctest",
  kotlin: "kt kts ktm ktx",
  latex: "tex bibtex bib sty",
  lisp: "cl elisp el emacs commonlisp",
  llvm: "ll",
  lua: "luau pluto",
  makefile: "mk mak make gnumakefile",
  markdown: "md mkd mkdown mdx rmd qmd",
  mathematica: "wl mma wolfram nb",
  matlab: "m octave",
  mipsasm: "mips",
  nginx: "conf nginxconf",
  nix: "nixos",
  objectivec: "mm objc obj objective objc++ objectivec++",
  ocaml: "ml mli",
  perl: "pl pm",
  pgsql: "postgres postgresql plpgsql",
  "php-template": "phtml",
  powershell: "ps1 pwsh ps psm1 psd1 posh",
  prolog: "swipl",
  properties: "env dotenv",
  protobuf: "proto proto3 protocolbuffers",
  puppet: "pp",
  python: "py py3 pyw pyi gyp ipython cython pyx sage starlark bazel",
  "python-repl": "pycon",
  qml: "qt",
  r: "rscript rlang splus",
  reasonml: "re reason rescript res",
  ruby: "rb gemspec podspec thor irb rake gemfile rakefile",
  rust: "rs",
  scala: "sbt sc",
  scheme: "scm racket rkt",
  scss: "sass",
  shell: "console shellsession terminal",
  smalltalk: "st",
  sql: "mysql sqlite mariadb tsql plsql mssql oracle hql bigquery snowflake duckdb",
  stata: "do ado",
  stylus: "styl",
  tcl: "tk",
  twig: "craftcms liquid njk nunjucks",
  typescript: "ts tsx mts cts deno",
  vbnet: "vb vba visualbasic",
  verilog: "sv svh systemverilog v",
  vhdl: "vhd",
  vim: "vimscript viml",
  wasm: "wat wast webassembly",
  x86asm: "asm nasm masm assembly assembler x86 intel",
  xml: "html htm xhtml svg rss atom xsd xsl xslt plist vue svelte astro mathml wsdl xjb wsf",
  yaml: "yml k8s kubernetes compose ansible openapi",
  zig: "zon",
};

/** How files end, where that is not the language's own name. */
const ENDINGS: Readonly<Record<string, string>> = {
  ada: "adb",
  apache: "conf",
  arduino: "ino",
  armasm: "s",
  asciidoc: "adoc",
  bash: "sh",
  basic: "bas",
  clojure: "clj",
  coffeescript: "coffee",
  coq: "v",
  crystal: "cr",
  csharp: "cs",
  delphi: "pas",
  django: "html",
  dns: "zone",
  dos: "bat",
  elixir: "ex",
  erlang: "erl",
  excel: "txt",
  fortran: "f90",
  fsharp: "fs",
  gherkin: "feature",
  handlebars: "hbs",
  haskell: "hs",
  haxe: "hx",
  javascript: "js",
  julia: "jl",
  "julia-repl": "txt",
  kotlin: "kt",
  latex: "tex",
  llvm: "ll",
  makefile: "mk",
  markdown: "md",
  mathematica: "wl",
  matlab: "m",
  mipsasm: "s",
  nginx: "conf",
  objectivec: "m",
  ocaml: "ml",
  perl: "pl",
  pgsql: "sql",
  "php-template": "phtml",
  powershell: "ps1",
  prolog: "pl",
  protobuf: "proto",
  puppet: "pp",
  python: "py",
  "python-repl": "txt",
  reasonml: "re",
  ruby: "rb",
  rust: "rs",
  scheme: "scm",
  shell: "txt",
  smalltalk: "st",
  stata: "do",
  stylus: "styl",
  typescript: "ts",
  vbnet: "vb",
  verilog: "sv",
  vhdl: "vhd",
  wasm: "wat",
  x86asm: "asm",
  yaml: "yml",
};

/** Names that are also how files end that are not as other files of their language. */
const OWN_ENDINGS = new Set(
  (
    "jsx mjs cjs tsx html svg vue svelte astro toml h hpp cu kts jsonl ndjson json5 fsx mdx sass hlsl " +
    "wgsl bib"
  ).split(" "),
);

/** Languages whose grammar has the name that everybody gives them. */
const NAMES = "css elm gradle haml less nim php sas sml swift thrift vala".split(" ");

const byName = new Map<string, string>([
  ...[...NAMES, ...Object.keys(ALIASES)].map((name) => [name, name] as const),
  ...Object.entries(ALIASES).flatMap(([language, aliases]) =>
    aliases.split(" ").map((alias) => [alias, language] as const),
  ),
]);

/** The language that is meant by `name`; undefined if it has no grammar. */
export function languageOf(name: string): string | undefined {
  const written = name
    .toLowerCase()
    .replace(/^[{.]+/, "") // Pandoc's {.python}
    .replace(/^lang(?:uage)?-/, "");
  const word = /^[^{}:,;=()[\]]*/.exec(written)?.[0] ?? "";
  return (
    byName.get(word) ??
    byName.get(word.replace(/[\s-]+/g, "")) ?? // objective-c
    byName.get(word.replace(/[-_ ]?v?[\d.]+$/, "")) ?? // python3, java-17
    byFile(written)
  );
}

/** The language of a file by its name or by how that ends. */
function byFile(path: string): string | undefined {
  const file = /[^/\\:=]+$/.exec(path)?.[0] ?? "";
  const ending = /\.([^.]+)$/.exec(file)?.[1];
  return byName.get(file) ?? (ending === undefined ? undefined : byName.get(ending));
}

/** How a file of code in the language `name` ends. */
function fileEnding(name: string): string {
  const word = name.toLowerCase();
  const language = languageOf(word);
  if (OWN_ENDINGS.has(word) || !language) return language ? word : "txt";
  return ENDINGS[language] ?? language;
}

/** What a file of code in the language `name` is called; models also give names of files. */
export function fileName(name: string): string {
  const file = /[\w.-]+$/.exec(name)?.[0] ?? "";
  const isFile = /[^.]\.[^.]+$/.test(file) && byFile(file.toLowerCase()) !== undefined;
  return isFile ? file : `code.${fileEnding(name)}`;
}
