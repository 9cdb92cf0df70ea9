import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AnswerEvent } from "../../src/stream";
import { askAsync, followWithEventSource, createTicket } from "../../src/stream/eventsource";

/** An EventSource whose messages the test sends. */
class FakeEventSource extends EventTarget {
  static readonly CLOSED = 2;
  static opened: FakeEventSource[] = [];
  readyState = 1;

  constructor(readonly url: string) {
    super();
    FakeEventSource.opened.push(this);
  }

  send(type: string, data: unknown, lastEventId = ""): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data), lastEventId }));
  }

  /** What a browser does after any status but 200: it closes for good. */
  refuse(): void {
    this.readyState = FakeEventSource.CLOSED;
    this.dispatchEvent(new Event("error"));
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED;
  }
}

const Source = FakeEventSource as unknown as typeof EventSource;
let events: AnswerEvent[];
const onEvent = (event: AnswerEvent) => void events.push(event);

beforeEach(() => {
  vi.useFakeTimers();
  FakeEventSource.opened = [];
  events = [];
});

afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("events are passed on as they arrive, and `end` closes the source", async () => {
  followWithEventSource("a1", { onEvent, EventSource: Source });
  const [source] = FakeEventSource.opened;

  source?.send("start", { answer_id: "a1" });
  source?.send("delta", { text: "你" }, "1");
  source?.send("end", { status: "complete" }, "1-end");

  expect(source?.url).toBe("/api/v1/answers/a1/events");
  expect(events.map((event) => event.type)).toEqual(["start", "delta", "end"]);
  expect(source?.readyState).toBe(FakeEventSource.CLOSED);
});

test("a source that closed for good is replaced by one that resumes after the last event", async () => {
  const close = followWithEventSource("a1", { onEvent, EventSource: Source });
  FakeEventSource.opened[0]?.send("delta", { text: "a" }, "1");

  FakeEventSource.opened[0]?.refuse();
  await vi.runAllTimersAsync();

  expect(FakeEventSource.opened.map(({ url }) => url)).toEqual([
    "/api/v1/answers/a1/events",
    "/api/v1/answers/a1/events?after=1",
  ]);
  close();
});

test("each new source has a ticket of its own", async () => {
  let number = 0;
  const ticket = async () => `t${++number}`;
  const close = followWithEventSource("a1", { onEvent, EventSource: Source, ticket });
  await vi.runAllTimersAsync();
  FakeEventSource.opened[0]?.refuse();
  await vi.runAllTimersAsync();

  expect(FakeEventSource.opened.map(({ url }) => url.split("?")[1])).toEqual([
    "ticket=t1",
    "ticket=t2",
  ]);
  close();
});

test("closing also ends the wait before a retry", async () => {
  const close = followWithEventSource("a1", { onEvent, EventSource: Source });
  FakeEventSource.opened[0]?.refuse();

  close();
  await vi.runAllTimersAsync();

  expect(FakeEventSource.opened.length).toBe(1);
});

test("asking returns the address of the answer", async () => {
  const accepted = { answer_id: "a1", events_url: "/api/v1/answers/a1/events" };
  const fetched = vi.fn(async () => Response.json(accepted, { status: 202 }));
  vi.stubGlobal("fetch", fetched);

  expect(await askAsync({ content: "hi" }, "k")).toEqual(accepted);
  expect(fetched).toHaveBeenCalledWith(
    "/api/v1/chat",
    expect.objectContaining({
      headers: expect.objectContaining({ Prefer: "respond-async", "Idempotency-Key": "k" }),
    }),
  );
});

test("the key is sent with the question, and exchanged for a ticket", async () => {
  const sent: [string, RequestInit][] = [];
  const headers = { Authorization: "Bearer k1" };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit) => {
    sent.push([path, init]);
    return Response.json({ answer_id: "a1", ticket: "t1" }, { status: 201 });
  });

  await askAsync({ content: "hi" }, "k", headers);

  expect(await createTicket("a1", headers)).toBe("t1");
  expect(sent.map(([path]) => path)).toEqual(["/api/v1/chat", "/api/v1/answers/a1/ticket"]);
  for (const [, init] of sent) expect(init.headers).toMatchObject(headers);
});

test("without a valid key there is no ticket", async () => {
  vi.stubGlobal("fetch", async () =>
    Response.json({ error: { code: "invalid_credentials", message: "No." } }, { status: 401 }),
  );

  await expect(createTicket("a1", {})).rejects.toMatchObject({ code: "invalid_credentials" });
});
