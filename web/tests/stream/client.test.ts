import { describe, expect, test, vi } from "vitest";
import { ask, follow, regenerate, stop } from "../../src/stream";
import { refusal, StreamedResponse } from "./fakeServer";
import { options, readAll, server, setUpEach, states, textOf, trigger } from "./harness";

setUpEach();

describe("asking", () => {
  test("one request asks and streams", async () => {
    server.responses.push(new StreamedResponse().start().delta(2, "Hi").delta(4, " 你").end(4));

    const events = await readAll(ask({ content: "hi" }, { ...options, idempotencyKey: "k" }));

    expect(events.map((event) => event.type)).toEqual(["start", "delta", "delta", "end"]);
    expect(textOf(events)).toBe("Hi 你");
    expect(server.requests).toEqual([
      {
        method: "POST",
        path: "/api/v1/chat",
        headers: {
          Accept: "text/event-stream",
          "Content-Type": "application/json",
          "Idempotency-Key": "k",
        },
        body: '{"content":"hi"}',
      },
    ]);
    expect(states).toEqual(["connecting", "open"]);
  });

  test("a question that may not have arrived is sent again, with the same key and body", async () => {
    server.responses.push(
      new TypeError("Failed to fetch"),
      refusal(503, "storage_unavailable"),
      new StreamedResponse().close(), // accepted, and cut off before its start
      new StreamedResponse().start().end(0),
    );

    await readAll(ask({ content: "hi" }, options));

    expect(server.requests.length).toBe(4);
    expect(new Set(server.requests.map(({ method, body }) => `${method} ${body}`)).size).toBe(1);
    expect(new Set(server.requests.map(({ headers }) => headers["Idempotency-Key"])).size).toBe(1);
  });

  test("two questions have two keys", async () => {
    server.responses.push(
      new StreamedResponse().start().end(0),
      new StreamedResponse().start("a2").end(0),
    );

    await readAll(ask({ content: "hi" }, options));
    await readAll(ask({ content: "hi" }, options));

    const keys = server.requests.map(({ headers }) => headers["Idempotency-Key"]);
    expect(new Set(keys).size).toBe(2);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("once its start was read, a question is never sent again", async () => {
    server.responses.push(
      new StreamedResponse().start().cut(),
      new StreamedResponse().start().delta(1, "a").close(),
      new StreamedResponse().start().delta(2, "b").end(2),
    );

    const events = await readAll(ask({ content: "hi" }, options));

    expect(textOf(events)).toBe("ab");
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /api/v1/chat",
      "GET /api/v1/answers/a1/events",
      "GET /api/v1/answers/a1/events",
    ]);
    expect(server.requests.map(({ headers }) => headers["Last-Event-ID"])).toEqual([
      undefined,
      undefined,
      "1",
    ]);
  });

  test("a reconnect trigger sends no question while one is being answered", async () => {
    const stream = new StreamedResponse().start().delta(1, "a");
    server.responses.push(stream);
    const events = ask({ content: "hi" }, options);
    await events.next();

    trigger.fire();
    stream.end(1);

    await readAll(events);
    expect(server.requests.length).toBe(1);
  });

  test("a refusal is thrown with its code, its request id and the live answer's id", async () => {
    server.responses.push(refusal(409, "conversation_busy", { answer_id: "a9" }));

    await expect(readAll(ask({ content: "hi" }, options))).rejects.toMatchObject({
      name: "ApiError",
      status: 409,
      code: "conversation_busy",
      requestId: "r1",
      answerId: "a9",
    });
    expect(server.requests.length).toBe(1);
  });

  test.each([
    ["a page", "<h1>Too large</h1>"],
    ["JSON of its own", '{"error":{"code":413,"message":"Too large","status":"TOO_LARGE"}}'],
    ["a word in JSON", '{"error":"Too large"}'],
  ])("a refusal by a proxy, with %s, has its status as its code", async (_, body) => {
    const headers = { "Retry-After": "9".repeat(20) };
    server.responses.push(new Response(body, { status: 413, statusText: "Large", headers }));

    await expect(readAll(ask({ content: "hi" }, options))).rejects.toMatchObject({
      ...{ code: "http_413", message: "Large", retryAfterMs: null },
    });
  });
});

describe("regenerating", () => {
  const PATH = "/api/v1/answers/a1/regenerate";

  test("one request asks for another answer and streams it", async () => {
    server.responses.push(new StreamedResponse().start("a2").delta(2, "Hi").end(2));

    const events = await readAll(
      regenerate("a1", { model: "m" }, { ...options, idempotencyKey: "k" }),
    );

    expect(events.map((event) => event.type)).toEqual(["start", "delta", "end"]);
    expect(server.requests).toEqual([
      {
        method: "POST",
        path: PATH,
        headers: {
          Accept: "text/event-stream",
          "Content-Type": "application/json",
          "Idempotency-Key": "k",
        },
        body: '{"model":"m"}',
      },
    ]);
  });

  test("is sent again under its key until it has started, and then read by its own id", async () => {
    server.responses.push(
      new TypeError("Failed to fetch"),
      new StreamedResponse().start("a2").delta(1, "a").cut(),
      new StreamedResponse().start("a2").delta(2, "b").end(2),
    );

    const events = await readAll(regenerate("a1", {}, options));

    expect(textOf(events)).toBe("ab");
    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      `POST ${PATH}`,
      `POST ${PATH}`,
      "GET /api/v1/answers/a2/events",
    ]);
    const keys = server.requests.map(({ headers }) => headers["Idempotency-Key"]);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys).toEqual([keys[0], keys[0], undefined]);
    expect(server.requests[2]?.headers["Last-Event-ID"]).toBe("1");
  });
});

describe("leaving", () => {
  test("leaving the loop closes the connection", async () => {
    const stream = new StreamedResponse().start().delta(1, "a");
    server.responses.push(stream);

    for await (const event of ask({ content: "hi" }, options)) {
      if (event.type === "delta") break;
    }

    await stream.cancelled;
  });

  test.each(["while it reads", "while it waits", "while it connects"])(
    "the caller's signal ends it %s, with the caller's reason",
    async (when) => {
      const controller = new AbortController();
      if (when === "while it reads") server.responses.push(new StreamedResponse().start());
      if (when === "while it waits") server.responses.push(new TypeError("Failed to fetch"));
      const reading = readAll(ask({ content: "hi" }, { ...options, signal: controller.signal }));
      await server.arrived(1);
      const state = { reads: "open", waits: "waiting", connects: "connecting" }[
        when.split(" ").at(-1) as "reads" | "waits" | "connects"
      ];
      while (states.at(-1) !== state) await Promise.resolve();

      controller.abort(new Error("enough"));

      await expect(reading).rejects.toThrow("enough");
      expect(server.requests.length).toBe(1);
    },
  );

  test("resuming an answer that was read to its end yields nothing", async () => {
    server.responses.push(new Response(null, { status: 204 }));

    expect(await readAll(follow("a1", { ...options, lastEventId: "7-end" }))).toEqual([]);
    expect(server.requests[0]?.headers["Last-Event-ID"]).toBe("7-end");
  });

  test("an answer that was deleted ends the reconnecting", async () => {
    server.responses.push(new StreamedResponse().start().cut(), refusal(404, "not_found"));

    await expect(readAll(follow("a1", options))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("stopping", () => {
  test.each([200, 202])(
    "%d means stopped, also if another process generates the answer",
    async (status) => {
      server.responses.push(new Response("{}", { status }));

      await stop("a1", options);

      expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
        "POST /api/v1/answers/a1/stop",
      ]);
    },
  );

  test("is retried until it succeeds", async () => {
    server.responses.push(
      new TypeError("Failed to fetch"),
      refusal(503, "storage_unavailable"),
      new Response("{}"),
    );
    const stopping = stop("a1", options);

    await vi.advanceTimersByTimeAsync(1000);
    await vi.advanceTimersByTimeAsync(2000);
    await stopping;

    expect(server.requests.length).toBe(3);
  });
});
