import { expect, test } from "vitest";
import { en } from "../../src/i18n/en";
import { zh } from "../../src/i18n/zh";

type Texts = { [key: string]: string | Texts };

/** Every key, with the placeholders in its text. */
function keys(texts: Texts, path = ""): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === "string"
      ? [`${path}${key} ${(value.match(/\{\w+\}/g) ?? []).sort().join(" ")}`]
      : keys(value, `${path}${key}.`),
  );
}

test("both languages have the same texts, with the same placeholders", () => {
  expect(keys(zh).sort()).toEqual(keys(en).sort());
});
