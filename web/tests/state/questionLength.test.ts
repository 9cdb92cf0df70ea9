import { expect, test } from "vitest";
import { excessOf } from "../../src/state/questionLength";

const LIMITS = { max_question_chars: 100, max_body_bytes: 100_000 };
const NONE = { text: "", isSent: true };

test("characters are counted as the server counts them, with the system prompt", () => {
  expect(excessOf("a".repeat(100), NONE, LIMITS)).toBeNull();
  expect(excessOf("a".repeat(103), NONE, LIMITS)).toEqual({ count: 3, unit: "characters" });
  expect(excessOf("🙂".repeat(100), NONE, LIMITS)).toBeNull(); // 200 UTF-16 units
  expect(excessOf("🙂".repeat(101), NONE, LIMITS)).toEqual({ count: 1, unit: "characters" });

  const prompt = { text: "b".repeat(30), isSent: false };
  expect(excessOf("a".repeat(70), prompt, LIMITS)).toBeNull();
  expect(excessOf("a".repeat(71), prompt, LIMITS)).toEqual({ count: 1, unit: "characters" });
});

test("bytes are counted as they are sent, with room for the rest of the request", () => {
  const limits = { max_question_chars: 400_000, max_body_bytes: 100_000 };
  const room = 100_000 - 4096 - 2; // and two quotation marks

  expect(excessOf("a".repeat(room), NONE, limits)).toBeNull();
  expect(excessOf("a".repeat(room + 5), NONE, limits)).toEqual({ count: 5, unit: "bytes" });
  expect(excessOf("字".repeat(Math.floor(room / 3)), NONE, limits)).toBeNull();
  expect(excessOf("字".repeat(Math.ceil(room / 3) + 1), NONE, limits)?.unit).toBe("bytes");
  expect(excessOf("\n".repeat(room / 2 + 1), NONE, limits)).toEqual({ count: 2, unit: "bytes" });
});

test("a system prompt counts among the bytes if it is sent with the question", () => {
  const limits = { max_question_chars: 400_000, max_body_bytes: 100_000 };
  const text = "b".repeat(60_000);

  expect(excessOf("a".repeat(60_000), { text, isSent: false }, limits)).toBeNull();
  expect(excessOf("a".repeat(60_000), { text, isSent: true }, limits)?.unit).toBe("bytes");
});
