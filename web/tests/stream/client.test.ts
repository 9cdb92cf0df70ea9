import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ask,
  follow,
  regenerate,
  stop,
  take,
  type AnswerEvent,
  type Block,
} from "../../src/stream";
import { FakeServer, News, refusal, Streaming } from "./server";

let server: FakeServer;
let news: News;
let states: string[];
let options: Parameters<typeof ask>[1];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
  server = new FakeServer();
  news = new News();
  states = [];
  options = {
    fetch: server.fetch,
    wakeUps: news.wakeUps,
    random: () => 0.5,
    onConnection: (state) => states.push(state),
  };
});

afterEach(() => {
  expect(news.listeners).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const turn = () =>
  new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(0);
  });

/** Read to the end, letting time pass wherever the client waits, and only there. */
async function all(events: AsyncGenerator<AnswerEvent>): Promise<AnswerEvent[]> {
  const seen: AnswerEvent[] = [];
  const reading = (async () => {
    for await (const event of events) seen.push(event);
    return seen;
  })();
  let over = false;
  const mark = () => void (over = true);
  reading.then(mark, mark);
  while (!over) {
    await turn();
    if (states.at(-1) === "waiting") await vi.advanceTimersToNextTimerAsync();
  }
  return reading;
}

function text(events: AnswerEvent[]): string {
  const blocks: Block[] = [];
  events.forEach((event) => take(blocks, event));
  return blocks.map((block) => ("text" in block ? block.text : "")).join("");
}

describe("asking", () => {
  test("one request asks and streams", async () => {
    server.answers.push(new Streaming().start().delta(2, "Hi").delta(4, " 你").end(4));

    const events = await all(ask({ content: "hi" }, { ...options, key: "k" }));

    expect(events.map((event) => event.type)).toEqual(["start", "delta", "delta", "end"]);
    expect(text(events)).toBe("Hi 你");
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
    server.answers.push(
      new TypeError("Failed to fetch"),
      refusal(503, "storage_unavailable"),
      new Streaming().close(), // accepted, and broken off before its start
      new Streaming().start().end(0),
    );

    await all(ask({ content: "hi" }, options));

    expect(server.requests.length).toBe(4);
    expect(new Set(server.requests.map(({ method, body }) => `${method} ${body}`)).size).toBe(1);
    expect(new Set(server.requests.map(({ headers }) => headers["Idempotency-Key"])).size).toBe(1);
  });

  test("two questions have two keys", async () => {
    server.answers.push(new Streaming().start().end(0), new Streaming().start("a2").end(0));

    await all(ask({ content: "hi" }, options));
    await all(ask({ content: "hi" }, options));

    const keys = server.requests.map(({ headers }) => headers["Idempotency-Key"]);
    expect(new Set(keys).size).toBe(2);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  });

  test("once its start was read, a question is never sent again", async () => {
    server.answers.push(
      new Streaming().start().cut(),
      new Streaming().start().delta(1, "a").close(),
      new Streaming().start().delta(2, "b").end(2),
    );

    const events = await all(ask({ content: "hi" }, options));

    expect(text(events)).toBe("ab");
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

  test("good news sends no question while one is being answered", async () => {
    const stream = new Streaming().start().delta(1, "a");
    server.answers.push(stream);
    const events = ask({ content: "hi" }, options);
    await events.next();

    news.tell();
    stream.end(1);

    await all(events);
    expect(server.requests.length).toBe(1);
  });

  test("a refusal is thrown with its code, its request id and the answer in the way", async () => {
    server.answers.push(refusal(409, "conversation_busy", { answer_id: "a9" }));

    await expect(all(ask({ content: "hi" }, options))).rejects.toMatchObject({
      name: "ApiError",
      status: 409,
      code: "conversation_busy",
      requestId: "r1",
      answerId: "a9",
    });
    expect(server.requests.length).toBe(1);
  });

  test("a refusal that is not ours has its status for a code", async () => {
    server.answers.push(new Response("<h1>Too large</h1>", { status: 413 }));

    await expect(all(ask({ content: "hi" }, options))).rejects.toMatchObject({ code: "http_413" });
  });
});

describe("regenerating", () => {
  const PATH = "/api/v1/answers/a1/regenerate";

  test("one request asks for an answer beside the one there was, and streams it", async () => {
    server.answers.push(new Streaming().start("a2").delta(2, "Hi").end(2));

    const events = await all(regenerate("a1", { model: "m" }, { ...options, key: "k" }));

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

  test("is sent again under its key until it has begun, and read by its own name after", async () => {
    server.answers.push(
      new TypeError("Failed to fetch"),
      new Streaming().start("a2").delta(1, "a").cut(),
      new Streaming().start("a2").delta(2, "b").end(2),
    );

    const events = await all(regenerate("a1", {}, options));

    expect(text(events)).toBe("ab");
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

describe("a connection that breaks", () => {
  test("goes on behind the last event, without a gap and without saying anything twice", async () => {
    server.answers.push(
      new Streaming().start().delta(1, "a").delta(3, "bc").cut(),
      new TypeError("Failed to fetch"),
      new Streaming().start().delta(4, "d").end(4),
    );

    const events = await all(ask({ content: "hi" }, options));

    expect(text(events)).toBe("abcd");
    expect(events.filter((event) => event.type === "start").length).toBe(1);
    expect(server.requests.slice(1).map(({ headers }) => headers["Last-Event-ID"])).toEqual([
      "3",
      "3",
    ]);
    expect(states).toEqual([
      ...["connecting", "open", "waiting"],
      ...["connecting", "waiting"],
      ...["connecting", "open"],
    ]);
  });

  test("a stream that ends without its end was cut off", async () => {
    server.answers.push(
      new Streaming().start().delta(1, "a").close(),
      new Streaming().start().end(1),
    );

    const events = await all(follow("a1", options));

    expect(events.at(-1)).toMatchObject({ type: "end", data: { status: "complete" } });
  });

  test("a hotel's login page is no answer", async () => {
    server.answers.push(
      new Response("<h1>Welcome</h1>", { headers: { "Content-Type": "text/html" } }),
      new Streaming().start().end(0),
    );

    expect((await all(follow("a1", options))).at(-1)?.type).toBe("end");
  });

  test("reset replaces what the client holds", async () => {
    const blocks = [{ type: "text", text: "ab" }];
    server.answers.push(
      new Streaming().start().delta(3, "abc").cut(),
      new Streaming()
        .start()
        .raw(`id: 2\nevent: reset\ndata: ${JSON.stringify({ blocks })}\n\n`)
        .cut(),
      new Streaming().start().delta(3, "x").end(3),
    );

    const events = await all(follow("a1", options));

    expect(text(events)).toBe("abx");
    expect(server.requests[2]?.headers["Last-Event-ID"]).toBe("2");
  });

  test("the waits double, up to half a minute, and begin anew after progress", async () => {
    const waits: number[] = [];
    server.answers.push(
      ...Array.from({ length: 7 }, () => new TypeError("Failed to fetch")),
      new Streaming().start().delta(1, "a").cut(),
      new Streaming().start().end(1),
    );
    let asked = Date.now();
    const watching: typeof fetch = (...request) => {
      waits.push(Date.now() - asked);
      asked = Date.now();
      return server.fetch(...request);
    };

    await all(follow("a1", { ...options, fetch: watching }));

    expect(waits.slice(1)).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000, 1000]);
  });

  test("the server says how long to wait: by retry, and by Retry-After", async () => {
    const asked: number[] = [];
    server.answers.push(
      new Streaming().raw("retry: 3000\n\n").close(),
      refusal(503, "shutting_down", {}, { "Retry-After": "12" }),
      new Streaming().start().end(0),
    );
    const watching: typeof fetch = (...request) => {
      asked.push(Date.now());
      return server.fetch(...request);
    };

    await all(follow("a1", { ...options, fetch: watching }));

    expect(asked.map((at) => at - (asked[0] ?? 0))).toEqual([0, 3000, 15000]);
  });

  test("good news ends the wait at once", async () => {
    server.answers.push(new TypeError("Failed to fetch"), new Streaming().start().end(0));
    const reading = all(follow("a1", { ...options, random: () => 1 }));
    await server.arrived(1);
    while (states.at(-1) !== "waiting") await Promise.resolve();
    const lost = Date.now();

    news.tell();
    await server.arrived(2);

    expect(Date.now()).toBe(lost);
    await reading;
  });
});

describe("a connection that only looks alive", () => {
  test("is given up after a silence, and signs of life prevent that", async () => {
    const silent = new Streaming().start().delta(1, "a");
    server.answers.push(silent, new Streaming().start().end(1));
    const events = follow("a1", { ...options, silenceMs: 1000 });
    await events.next();
    await events.next();
    const more = events.next();

    for (let beats = 0; beats < 5; beats++) {
      await vi.advanceTimersByTimeAsync(900);
      silent.raw(": beat\n\n");
    }
    expect(server.requests.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1500);
    await vi.advanceTimersByTimeAsync(1000);

    expect((await more).value).toMatchObject({ type: "end" });
    expect(server.requests.length).toBe(2);
    await all(events);
  });

  test("is given up sooner when there is good news", async () => {
    server.answers.push(new Streaming().start(), new Streaming().start().end(0));
    const events = follow("a1", options);
    await events.next();
    const more = events.next();

    await vi.advanceTimersByTimeAsync(8000); // two beats late
    news.tell();
    await server.arrived(1);
    await vi.advanceTimersByTimeAsync(1000);

    expect((await more).value).toMatchObject({ type: "end" });
    await all(events);
  });
});

describe("leaving", () => {
  test("leaving the loop lets go of the connection", async () => {
    const stream = new Streaming().start().delta(1, "a");
    server.answers.push(stream);

    for await (const event of ask({ content: "hi" }, options)) {
      if (event.type === "delta") break;
    }

    await stream.left;
  });

  test.each(["while it reads", "while it waits", "while it connects"])(
    "the caller's signal ends it %s, with the caller's reason",
    async (when) => {
      const leaving = new AbortController();
      if (when === "while it reads") server.answers.push(new Streaming().start());
      if (when === "while it waits") server.answers.push(new TypeError("Failed to fetch"));
      const reading = all(ask({ content: "hi" }, { ...options, signal: leaving.signal }));
      await server.arrived(1);
      const state = { reads: "open", waits: "waiting", connects: "connecting" }[
        when.split(" ").at(-1) as "reads" | "waits" | "connects"
      ];
      while (states.at(-1) !== state) await Promise.resolve();

      leaving.abort(new Error("enough"));

      await expect(reading).rejects.toThrow("enough");
      expect(server.requests.length).toBe(1);
    },
  );

  test("coming back to what was read to its end asks nothing more", async () => {
    server.answers.push(new Response(null, { status: 204 }));

    expect(await all(follow("a1", { ...options, lastEventId: "7-end" }))).toEqual([]);
    expect(server.requests[0]?.headers["Last-Event-ID"]).toBe("7-end");
  });

  test("an answer that is gone is no reason to go on asking", async () => {
    server.answers.push(new Streaming().start().cut(), refusal(404, "not_found"));

    await expect(all(follow("a1", options))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("stopping", () => {
  test.each([200, 202])("%d is done: another process may have the answer", async (status) => {
    server.answers.push(new Response("{}", { status }));

    await stop("a1", options);

    expect(server.requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /api/v1/answers/a1/stop",
    ]);
  });

  test("is tried until it worked", async () => {
    server.answers.push(
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

describe("a key that changes", () => {
  const bearer = (key: string) => ({ Authorization: `Bearer ${key}` });
  const sent = () => server.requests.map(({ headers }) => headers.Authorization);

  test("each request carries what is good by then", async () => {
    let key = 0;
    server.answers.push(
      new Streaming().start().delta(1, "a").cut(),
      new Streaming().start().delta(2, "b").end(2),
    );

    const events = await all(
      ask({ content: "hi" }, { ...options, headers: () => bearer(`k${++key}`) }),
    );

    expect(text(events)).toBe("ab");
    expect(sent()).toEqual(["Bearer k1", "Bearer k2"]);
  });

  test("a question that met a 401 is asked again with another key: the same question", async () => {
    const told: unknown[] = [];
    server.answers.push(
      refusal(401, "expired_credentials"),
      new Streaming().start().delta(1, "a").end(1),
    );

    const events = await all(
      ask(
        { content: "hi" },
        {
          ...options,
          headers: async (refused) => {
            told.push(refused?.error.code, refused?.headers);
            return bearer(refused ? "new" : "old");
          },
        },
      ),
    );

    expect(text(events)).toBe("a");
    expect(told).toEqual([undefined, undefined, "expired_credentials", bearer("old")]);
    expect(sent()).toEqual(["Bearer old", "Bearer new"]);
    const [first, second] = server.requests;
    expect(second?.headers["Idempotency-Key"]).toBe(first?.headers["Idempotency-Key"]);
    expect(second?.body).toBe(first?.body);
    expect(states).toEqual(["connecting", "connecting", "open"]); // at once, without a wait
  });

  test("a stream that was cut because its key was revoked goes on behind its last event", async () => {
    server.answers.push(
      new Streaming().start().delta(1, "a").cut(),
      refusal(401, "invalid_credentials"),
      new Streaming().start().delta(2, "b").end(2),
    );

    const events = await all(
      follow("a1", { ...options, headers: (refused) => bearer(refused ? "new" : "old") }),
    );

    expect(text(events)).toBe("ab");
    expect(server.requests.map(({ headers }) => headers["Last-Event-ID"])).toEqual([
      ...[undefined, "1", "1"],
    ]);
  });

  test.each([
    ["plain headers", bearer("old")],
    ["a function that has no others", () => bearer("old")],
  ])("%s: a 401 is for good", async (_name, headers) => {
    server.answers.push(refusal(401, "invalid_credentials"));

    await expect(all(ask({ content: "hi" }, { ...options, headers }))).rejects.toMatchObject({
      status: 401,
      code: "invalid_credentials",
    });
    expect(server.requests.length).toBe(1);
  });

  test("what the function throws is thrown", async () => {
    const headers = () => Promise.reject(new Error("signed out"));

    await expect(all(follow("a1", { ...options, headers }))).rejects.toThrow("signed out");
    expect(server.requests).toEqual([]);
  });

  test("keys that are refused one after the other are tried with growing waits", async () => {
    const asked: number[] = [];
    let key = 0;
    server.answers.push(
      ...Array.from({ length: 4 }, () => refusal(401, "invalid_credentials")),
      new Streaming().start().end(0),
    );
    const headers = () => {
      asked.push(Date.now());
      return bearer(`k${++key}`);
    };

    await all(follow("a1", { ...options, headers }));

    expect(asked.map((at) => at - (asked[0] ?? 0))).toEqual([0, 0, 1000, 3000, 7000]);
  });

  test("while a key is looked for nothing counts as silent, and the caller may leave", async () => {
    const leaving = new AbortController();
    server.answers.push(refusal(401, "invalid_credentials"));
    const nobody = new Promise<never>(() => undefined);
    const reading = all(
      follow("a1", {
        ...options,
        signal: leaving.signal,
        headers: (refused) => (refused ? nobody : bearer("old")),
      }),
    );
    await server.arrived(1);
    while (vi.getTimerCount()) await turn();

    leaving.abort(new Error("enough"));

    await expect(reading).rejects.toThrow("enough");
    expect(server.requests.length).toBe(1);
  });

  test("stopping goes on with another key, too", async () => {
    server.answers.push(refusal(401, "invalid_credentials"), new Response("{}"));

    await stop("a1", { ...options, headers: (refused) => bearer(refused ? "new" : "old") });

    expect(sent()).toEqual(["Bearer old", "Bearer new"]);
  });
});
