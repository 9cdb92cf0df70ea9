import { describe, expect, test, vi } from "vitest";
import { ask, follow, stop } from "../../src/stream";
import { refusal, StreamedResponse } from "./fakeServer";
import { options, readAll, server, setUpEach, states, textOf, turn } from "./harness";

setUpEach();

describe("a key that changes", () => {
  const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });
  const sent = () => server.requests.map(({ headers }) => headers.Authorization);

  test("each request carries the headers that are current by then", async () => {
    let key = 0;
    server.responses.push(
      new StreamedResponse().start().delta(1, "a").cut(),
      new StreamedResponse().start().delta(2, "b").end(2),
    );

    const events = await readAll(
      ask({ content: "hi" }, { ...options, headers: () => bearer(`k${++key}`) }),
    );

    expect(textOf(events)).toBe("ab");
    expect(sent()).toEqual(["Bearer k1", "Bearer k2"]);
  });

  test("a question that was answered 401 is sent again with another key, as the same question", async () => {
    const calls: unknown[] = [];
    server.responses.push(
      refusal(401, "expired_credentials"),
      new StreamedResponse().start().delta(1, "a").end(1),
    );

    const events = await readAll(
      ask(
        { content: "hi" },
        {
          ...options,
          headers: async (rejected) => {
            calls.push(rejected?.error.code, rejected?.headers);
            return bearer(rejected ? "new" : "old");
          },
        },
      ),
    );

    expect(textOf(events)).toBe("a");
    expect(calls).toEqual([undefined, undefined, "expired_credentials", bearer("old")]);
    expect(sent()).toEqual(["Bearer old", "Bearer new"]);
    const [first, second] = server.requests;
    expect(second?.headers["Idempotency-Key"]).toBe(first?.headers["Idempotency-Key"]);
    expect(second?.body).toBe(first?.body);
    expect(states).toEqual(["connecting", "connecting", "open"]); // without a delay
  });

  test("a stream that was cut because its key was revoked resumes after its last event", async () => {
    server.responses.push(
      new StreamedResponse().start().delta(1, "a").cut(),
      refusal(401, "invalid_credentials"),
      new StreamedResponse().start().delta(2, "b").end(2),
    );

    const events = await readAll(
      follow("a1", { ...options, headers: (rejected) => bearer(rejected ? "new" : "old") }),
    );

    expect(textOf(events)).toBe("ab");
    expect(server.requests.map(({ headers }) => headers["Last-Event-ID"])).toEqual([
      ...[undefined, "1", "1"],
    ]);
  });

  test.each([
    ["plain headers", bearer("old")],
    ["a function that has no others", () => bearer("old")],
  ])("%s: a 401 is thrown", async (_name, headers) => {
    server.responses.push(refusal(401, "invalid_credentials"));

    await expect(readAll(ask({ content: "hi" }, { ...options, headers }))).rejects.toMatchObject({
      status: 401,
      code: "invalid_credentials",
    });
    expect(server.requests.length).toBe(1);
  });

  test("what the function throws is thrown", async () => {
    const headers = () => Promise.reject(new Error("signed out"));

    await expect(readAll(follow("a1", { ...options, headers }))).rejects.toThrow("signed out");
    expect(server.requests).toEqual([]);
  });

  test("keys that are rejected one after the other are tried with growing delays", async () => {
    const asked: number[] = [];
    let key = 0;
    server.responses.push(
      ...Array.from({ length: 4 }, () => refusal(401, "invalid_credentials")),
      new StreamedResponse().start().end(0),
    );
    const headers = () => {
      asked.push(Date.now());
      return bearer(`k${++key}`);
    };

    await readAll(follow("a1", { ...options, headers }));

    expect(asked.map((at) => at - (asked[0] ?? 0))).toEqual([0, 0, 1000, 3000, 7000]);
  });

  test("waiting for a key has no idle timeout, and the caller may abort it", async () => {
    const controller = new AbortController();
    server.responses.push(refusal(401, "invalid_credentials"));
    const never = new Promise<never>(() => undefined);
    const reading = readAll(
      follow("a1", {
        ...options,
        signal: controller.signal,
        headers: (rejected) => (rejected ? never : bearer("old")),
      }),
    );
    await server.arrived(1);
    while (vi.getTimerCount()) await turn();

    controller.abort(new Error("enough"));

    await expect(reading).rejects.toThrow("enough");
    expect(server.requests.length).toBe(1);
  });

  test("stopping is retried with another key, too", async () => {
    server.responses.push(refusal(401, "invalid_credentials"), new Response("{}"));

    await stop("a1", { ...options, headers: (rejected) => bearer(rejected ? "new" : "old") });

    expect(sent()).toEqual(["Bearer old", "Bearer new"]);
  });
});
