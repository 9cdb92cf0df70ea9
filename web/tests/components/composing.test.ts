import { expect, test } from "vitest";
import { isComposing } from "../../src/components/composing";

const key = (fields: Partial<KeyboardEvent>) =>
  isComposing({ isComposing: false, keyCode: 13, ...fields } as KeyboardEvent);

test("Enter belongs to an input method while it composes, also as Safari reports it", () => {
  expect(key({ isComposing: true, keyCode: 229 })).toBe(true);
  expect(key({ keyCode: 229 })).toBe(true);
  expect(key({})).toBe(false);
});
