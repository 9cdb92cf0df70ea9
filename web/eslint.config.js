/** What the linter checks: mistakes. How code is set is prettier's, and types are vue-tsc's. */

import vue from "eslint-plugin-vue";
import typescript from "typescript-eslint";

export default typescript.config(
  { ignores: ["dist/", "node_modules/", "src/stream/apiTypes.ts"] },
  ...typescript.configs.recommended,
  ...vue.configs["flat/recommended"],
  { files: ["**/*.vue"], languageOptions: { parserOptions: { parser: typescript.parser } } },
  {
    rules: {
      // prettier sets attributes and elements on lines.
      "vue/html-closing-bracket-newline": "off",
      "vue/html-indent": "off",
      "vue/html-self-closing": "off",
      "vue/max-attributes-per-line": "off",
      "vue/multiline-html-element-content-newline": "off",
      "vue/singleline-html-element-content-newline": "off",
      // The compiler knows which names exist, and unused ones are errors of vue-tsc.
      "@typescript-eslint/no-unused-vars": "off",
      "no-undef": "off",
    },
  },
);
