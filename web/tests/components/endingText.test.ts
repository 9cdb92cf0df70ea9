import { describe, expect, test } from "vitest";
import { endingText, waitingText } from "../../src/components/endingText";
import { metadataTexts } from "../../src/components/metadataText";
import type { Block } from "../../src/stream";
import { textsIn } from "./texts";

const english = textsIn("en");
const chinese = textsIn("zh");
const block: Block = { type: "text", text: "So far" };

const answer = (fields: Partial<Parameters<typeof endingText>[0]> = {}) => ({
  status: "complete" as const,
  finishReason: "stop",
  error: null,
  blocks: [block],
  waiting: null,
  ...fields,
});

describe("the ending says", () => {
  test.each(["stopped", "abandoned", "interrupted"] as const)(
    "of an answer that was %s that its text is kept, where there is any",
    (status) => {
      expect(endingText(answer({ status }), english)).toMatch(/ Its text so far is kept\.$/);
      expect(endingText(answer({ status, blocks: [] }), english)).not.toContain("kept");
      expect(endingText(answer({ status }), chinese)).toMatch(/。已生成的内容会保留。$/);
      expect(endingText(answer({ status, blocks: [] }), chinese)).not.toContain("保留");
    },
  );

  test("nothing of an answer that is complete", () => {
    expect(endingText(answer(), english)).toBe("");
  });

  test("that an answer without a word is one", () => {
    expect(endingText(answer({ blocks: [] }), english)).toBe("The model returned an empty answer.");
  });

  test("that less may be kept than is shown where the server could not store the end", () => {
    const error = { code: "storage_unavailable", message: "" };

    const text = endingText(answer({ status: "interrupted", error }), english);

    expect(text).toContain("may be shorter than what is shown");
    expect(text).not.toContain("so far is kept");
  });

  test("a code that the page does not know, and not the server's words in another language", () => {
    const error = { code: "http_413", message: "Request Entity Too Large" };

    expect(endingText(answer({ status: "refused", error }), chinese)).toBe(
      "问题未被接受。服务器报告错误“http_413”。",
    );
  });

  test("when a question that was refused can be asked again", () => {
    const error = { code: "token_budget_spent", message: "No." };
    const until = new Date();
    until.setHours(23, 59, 0, 0);
    const waiting = { ...error, until: until.getTime() };
    const refused = answer({ status: "refused", error, waiting, blocks: [] });

    expect(endingText(refused, english)).toBe(
      "The question was not accepted. Your tokens for today are used up. You can ask again at 11:59 PM.",
    );
    expect(endingText(refused, chinese)).toBe(
      "问题未被接受。您今天的词元额度已用完。23:59 起可以再次提问。",
    );
  });

  test("the day, where that is not today", () => {
    const error = { code: "token_budget_spent", message: "No." };
    const waiting = { ...error, until: Date.now() + 48 * 3_600_000 };

    expect(endingText(answer({ status: "refused", error, waiting }), english)).toMatch(
      /again at \w+day, /,
    );
  });
});

describe("while it waits, the page says", () => {
  const waiting = { code: "unreachable", message: "", until: 0 };

  test("that there is no connection, only where there is none", () => {
    expect(waitingText({ status: "asking", waiting }, english)).toContain("no connection");
    expect(waitingText({ status: "live", waiting }, english)).toContain("connection is lost");
  });

  test.each([
    ["too_many_questions", "You have asked as many questions as are allowed within a minute."],
    ["overloaded", "The server has as much to do as it can."],
    ["storage_unavailable", "Conversations cannot be stored at the moment."],
    ["http_502", "The server cannot be reached."],
    ["http_522", "The server cannot be reached."],
  ])("why the server refuses with %s", (code, words) => {
    const refused = { code, message: "Nein.", until: 0 };

    expect(waitingText({ status: "asking", waiting: refused }, english)).toBe(
      `${words} The question will be sent again by itself in`,
    );
    expect(waitingText({ status: "live", waiting: refused }, english)).toContain(words);
    expect(waitingText({ status: "asking", waiting: refused }, chinese)).not.toContain("没有连接");
  });

  test("nothing where nothing is waited for", () => {
    expect(waitingText({ status: "live", waiting: null }, english)).toBe("");
  });
});

describe("the figures below an answer", () => {
  const usage = { input_tokens: 12, output_tokens: 34 };
  const timing = { first_token_ms: 480, reasoning_ms: null, total_ms: 12_340 };

  test("are its tokens and times", () => {
    expect(metadataTexts({ usage, timing }, english.t)).toEqual([
      "12 tokens in, 34 out",
      "first token after 0.5 s",
      "12 s in total",
    ]);
  });

  test("are left out where they are zero", () => {
    const none = { input_tokens: 0, output_tokens: 0, estimated: true };
    const times = { first_token_ms: 20, reasoning_ms: null, total_ms: 40 };

    expect(metadataTexts({ usage: none, timing: times }, english.t)).toEqual([]);
    expect(metadataTexts({ usage: null, timing: null }, english.t)).toEqual([]);
  });

  test("say of an estimate that it is one, also where there is one count only", () => {
    const estimates = [
      { input_tokens: 12, output_tokens: 0, estimated: true },
      { input_tokens: 0, output_tokens: 34, estimated: true },
      { ...usage, estimated: true },
    ];

    expect(
      estimates.flatMap((each) => metadataTexts({ usage: each, timing: null }, english.t)),
    ).toEqual(["about 12 tokens in", "about 34 tokens out", "about 12 tokens in, 34 out"]);
  });
});
