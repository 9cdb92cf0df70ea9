import { expect, test } from "vitest";
import { createI18n } from "vue-i18n";
import { messagesOf } from "../../src/i18n/messages";

const texts = { plain: "a | b @ c", nested: { named: "{first}, {second} and {first}" } };
const { t, te } = createI18n({
  legacy: false,
  locale: "en",
  messages: { en: messagesOf(texts) },
}).global;

test("names in braces are replaced, wherever and however often they stand", () => {
  expect(t("nested.named", { first: "$&", second: 2 })).toBe("$&, 2 and $&");
});

test("other signs stand for themselves", () => {
  expect(t("plain")).toBe("a | b @ c");
});

test("it is known which texts there are", () => {
  expect([te("plain"), te("nested.named"), te("nested.none")]).toEqual([true, true, false]);
});
