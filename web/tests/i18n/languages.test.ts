import { expect, test } from "vitest";
import { en } from "../../src/i18n/en";
import { zh } from "../../src/i18n/zh";

type Words = { [key: string]: string | Words };

/** Every key with the places that its words leave for values. */
function places(words: Words, path = ""): string[] {
  return Object.entries(words).flatMap(([key, value]) =>
    typeof value === "string"
      ? [`${path}${key} ${(value.match(/\{\w+\}/g) ?? []).sort().join(" ")}`]
      : places(value, `${path}${key}.`),
  );
}

test("both languages say everything, with the same values in it", () => {
  expect(places(zh).sort()).toEqual(places(en).sort());
});
