import { describe, expect, test, vi } from "vitest";
import { ask, follow } from "../../src/stream";
import { refusal, StreamedResponse } from "./fakeServer";
import { options, readAll, server, setUpEach, states, textOf, trigger } from "./harness";

setUpEach();

describe("a connection that breaks", () => {
  test("resumes after the last event, without a gap and without a duplicate", async () => {
    server.responses.push(
      new StreamedResponse().start().delta(1, "a").delta(3, "bc").cut(),
      new TypeError("Failed to fetch"),
      new StreamedResponse().start().delta(4, "d").end(4),
    );

    const events = await readAll(ask({ content: "hi" }, options));

    expect(textOf(events)).toBe("abcd");
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
    server.responses.push(
      new StreamedResponse().start().delta(1, "a").close(),
      new StreamedResponse().start().end(1),
    );

    const events = await readAll(follow("a1", options));

    expect(events.at(-1)).toMatchObject({ type: "end", data: { status: "complete" } });
  });

  test("a captive portal's login page is no answer", async () => {
    server.responses.push(
      new Response("<h1>Welcome</h1>", { headers: { "Content-Type": "text/html" } }),
      new StreamedResponse().start().end(0),
    );

    expect((await readAll(follow("a1", options))).at(-1)?.type).toBe("end");
  });

  test("reset replaces what the client holds", async () => {
    const blocks = [{ type: "text", text: "ab" }];
    server.responses.push(
      new StreamedResponse().start().delta(3, "abc").cut(),
      new StreamedResponse()
        .start()
        .raw(`id: 2\nevent: reset\ndata: ${JSON.stringify({ blocks })}\n\n`)
        .cut(),
      new StreamedResponse().start().delta(3, "x").end(3),
    );

    const events = await readAll(follow("a1", options));

    expect(textOf(events)).toBe("abx");
    expect(server.requests[2]?.headers["Last-Event-ID"]).toBe("2");
  });

  test("the delays double, up to 30 seconds, and start again after progress", async () => {
    const delays: number[] = [];
    server.responses.push(
      ...Array.from({ length: 7 }, () => new TypeError("Failed to fetch")),
      new StreamedResponse().start().delta(1, "a").cut(),
      new StreamedResponse().start().end(1),
    );
    let asked = Date.now();
    const watching: typeof fetch = (...request) => {
      delays.push(Date.now() - asked);
      asked = Date.now();
      return server.fetch(...request);
    };

    await readAll(follow("a1", { ...options, fetch: watching }));

    expect(delays.slice(1)).toEqual([1000, 2000, 4000, 8000, 16000, 30000, 30000, 1000]);
  });

  test("the server sets the delays, with retry and with Retry-After", async () => {
    const asked: number[] = [];
    server.responses.push(
      new StreamedResponse().raw("retry: 3000\n\n").close(),
      refusal(503, "shutting_down", {}, { "Retry-After": "12" }),
      new StreamedResponse().start().end(0),
    );
    const watching: typeof fetch = (...request) => {
      asked.push(Date.now());
      return server.fetch(...request);
    };

    await readAll(follow("a1", { ...options, fetch: watching }));

    expect(asked.map((at) => at - (asked[0] ?? 0))).toEqual([0, 3000, 15000]);
  });

  test("a reconnect trigger ends the delay at once", async () => {
    server.responses.push(new TypeError("Failed to fetch"), new StreamedResponse().start().end(0));
    const reading = readAll(follow("a1", { ...options, random: () => 1 }));
    await server.arrived(1);
    while (states.at(-1) !== "waiting") await Promise.resolve();
    const lost = Date.now();

    trigger.fire();
    await server.arrived(2);

    expect(Date.now()).toBe(lost);
    await reading;
  });
});

describe("a connection that is open but silent", () => {
  test("is not closed while a question with large files may still be on its way", async () => {
    const content = "x".repeat(3_200_000); // 100 s at 256 kbit/s
    const events = ask({ content }, { ...options, idleTimeoutMs: 1000 });
    const first = events.next();
    await server.arrived(1);

    await vi.advanceTimersByTimeAsync(100_000);
    expect(states).toEqual(["connecting"]);
    server.responses.push(new StreamedResponse().start().end(0));
    await vi.advanceTimersByTimeAsync(5000); // then the connection counts as dead

    expect((await first).value?.type).toBe("start");
    expect(server.requests[1]?.body).toBe(server.requests[0]?.body);
  });

  test("is closed after the idle timeout, and heartbeats prevent that", async () => {
    const silent = new StreamedResponse().start().delta(1, "a");
    server.responses.push(silent, new StreamedResponse().start().end(1));
    const events = follow("a1", { ...options, idleTimeoutMs: 1000 });
    await events.next();
    await events.next();
    const more = events.next();

    for (let heartbeats = 0; heartbeats < 5; heartbeats++) {
      await vi.advanceTimersByTimeAsync(900);
      silent.raw(": beat\n\n");
    }
    expect(server.requests.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1500);
    await vi.advanceTimersByTimeAsync(1000);

    expect((await more).value).toMatchObject({ type: "end" });
    expect(server.requests.length).toBe(2);
    await readAll(events);
  });

  test("is closed sooner when a reconnect trigger fires", async () => {
    server.responses.push(new StreamedResponse().start(), new StreamedResponse().start().end(0));
    const events = follow("a1", options);
    await events.next();
    const more = events.next();

    await vi.advanceTimersByTimeAsync(8000); // two heartbeats are overdue
    trigger.fire();
    await server.arrived(1);
    await vi.advanceTimersByTimeAsync(1000);

    expect((await more).value).toMatchObject({ type: "end" });
    await readAll(events);
  });
});
