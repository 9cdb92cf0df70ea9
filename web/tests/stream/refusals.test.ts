import { describe, expect, test } from "vitest";
import { ask, follow, stop } from "../../src/stream";
import { refusal, StreamedResponse } from "./fakeServer";
import { options, readAll, server, setUpEach, states, trigger, turn, waits } from "./harness";

setUpEach();

const refusals = (count: number, status: number, code: string, headers = {}) =>
  Array.from({ length: count }, () => refusal(status, code, {}, headers));

describe("while it waits, the client says", () => {
  test("with which words the server refused, and when it asks again", async () => {
    server.responses.push(
      refusal(429, "too_many_questions", {}, { "Retry-After": "42" }),
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(waits).toEqual([{ code: "too_many_questions", message: "No.", milliseconds: 42_000 }]);
  });

  test("that nothing answered, or a proxy that does not reach the server", async () => {
    server.responses.push(
      new TypeError("Failed to fetch"),
      new Response("<h1>Bad Gateway</h1>", { status: 502 }),
      new StreamedResponse().start().cut(),
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(waits).toEqual([
      { code: "unreachable", message: "", milliseconds: 1000 },
      { code: "http_502", message: "", milliseconds: 2000 },
      { code: "unreachable", message: "", milliseconds: 1000 },
    ]);
  });

  test("nothing of a wait whose state is another one", async () => {
    server.responses.push(new StreamedResponse().start().end(0));

    await readAll(ask({ content: "hi" }, options));

    expect([states, waits]).toEqual([["connecting", "open"], []]);
  });
});

describe("a question that is refused for now", () => {
  test("is sent again for a minute, and then the refusal is thrown", async () => {
    server.responses.push(...refusals(20, 503, "overloaded", { "Retry-After": "5" }));
    const asked = Date.now();

    const reading = readAll(ask({ content: "hi" }, options));

    await expect(reading).rejects.toMatchObject({ code: "overloaded", retryAfterMs: 5000 });
    expect(Date.now() - asked).toBe(60_000);
    expect(waits.map(({ milliseconds }) => milliseconds / 1000)).toEqual([5, 5, 5, 8, 16, 21]);
  });

  test("is thrown at once if the server names a time beyond that minute", async () => {
    server.responses.push(refusal(429, "token_budget_spent", {}, { "Retry-After": "18000" }));

    await expect(readAll(ask({ content: "hi" }, options))).rejects.toMatchObject({
      code: "token_budget_spent",
      retryAfterMs: 18_000_000,
    });
    expect([server.requests.length, waits]).toEqual([1, []]);
  });

  test("waits out the minute of a rate limit", async () => {
    server.responses.push(
      refusal(429, "too_many_questions", {}, { "Retry-After": "60" }),
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(waits.map(({ milliseconds }) => milliseconds)).toEqual([60_000]);
  });

  test("has its whole minute again after a lost connection", async () => {
    server.responses.push(
      refusal(503, "shutting_down", {}, { "Retry-After": "50" }),
      new TypeError("Failed to fetch"),
      refusal(503, "storage_unavailable", {}, { "Retry-After": "50" }),
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(server.requests.length).toBe(4);
  });

  test("is not sent sooner because the page becomes visible", async () => {
    server.responses.push(
      refusal(429, "too_many_answers", {}, { "Retry-After": "30" }),
      new StreamedResponse().start().end(0),
    );
    const reading = readAll(ask({ content: "hi" }, options));
    while (states.at(-1) !== "waiting") await Promise.resolve();

    trigger.fire();
    await turn();

    expect(server.requests.length).toBe(1);
    await reading;
  });

  test("understands a time that a proxy names as a date", async () => {
    const date = new Date(Date.now() + 7000).toUTCString(); // has no milliseconds
    server.responses.push(
      refusal(503, "overloaded", {}, { "Retry-After": date }),
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(waits[0]?.milliseconds).toBeGreaterThan(5000);
    expect(waits[0]?.milliseconds).toBeLessThanOrEqual(7000);
  });
});

const pages = (count: number, status: number) =>
  Array.from({ length: count }, () => new Response("<h1>Bad Gateway</h1>", { status }));

test.each([502, 503, 504, 522])(
  "a question that a proxy answers with a page of status %s fails after the same minute",
  async (status) => {
    server.responses.push(...pages(20, status));
    const asked = Date.now();

    const reading = readAll(ask({ content: "hi" }, options));

    await expect(reading).rejects.toMatchObject({ code: `http_${status}` });
    expect(Date.now() - asked).toBe(60_000);
  },
);

test("a question waits for a lost connection for as long as it takes", async () => {
  const lost = Array.from({ length: 9 }, () => new TypeError("Failed to fetch"));
  server.responses.push(...lost, new StreamedResponse().start().end(0));
  const asked = Date.now();

  await readAll(ask({ content: "hi" }, options));

  expect(Date.now() - asked).toBeGreaterThan(60_000);
});

test("a page that becomes visible asks a proxy at once whether it reaches the server", async () => {
  server.responses.push(...pages(1, 502), new StreamedResponse().start().end(0));
  const asked = Date.now();
  const reading = readAll(ask({ content: "hi" }, options));
  while (states.at(-1) !== "waiting") await Promise.resolve();

  trigger.fire();

  await reading;
  expect(Date.now() - asked).toBe(0);
});

test("reading an answer is not given up, since the answer goes on", async () => {
  server.responses.push(
    ...refusals(4, 429, "too_many_streams", { "Retry-After": "3600" }),
    ...pages(9, 502),
    new StreamedResponse().start().end(0),
  );

  expect((await readAll(follow("a1", options))).at(-1)?.type).toBe("end");
  expect(waits.slice(0, 4).every(({ milliseconds }) => milliseconds === 60_000)).toBe(true);
});

test("stopping is given up after the same minute", async () => {
  server.responses.push(refusal(429, "too_many_stops", {}, { "Retry-After": "61" }));

  await expect(stop("a1", options)).rejects.toMatchObject({ code: "too_many_stops" });
});
