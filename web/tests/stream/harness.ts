/** What the stream client's tests share: a scripted server, fake timers, and options that use both. */

import { afterEach, beforeEach, expect, vi } from "vitest";
import {
  applyEvent,
  type AnswerEvent,
  type AskOptions,
  type Block,
  type ConnectionState,
  type Waiting,
} from "../../src/stream";
import { FakeServer, FakeTrigger } from "./fakeServer";

export let server: FakeServer;
export let trigger: FakeTrigger;
/** The connection's states, in the order in which the client reported them. */
export let states: ConnectionState[];
/** Why it waited each time, and for how many milliseconds. */
export let waits: (Omit<Waiting, "until"> & { milliseconds: number })[];
export let options: AskOptions;

/** Recreates them before each test, and checks after it that no timer or listener is left. */
export function setUpEach(): void {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
    });
    server = new FakeServer();
    trigger = new FakeTrigger();
    states = [];
    waits = [];
    options = {
      fetch: server.fetch,
      reconnectTrigger: trigger.subscribe,
      random: () => 0.5,
      onConnection: (state, waiting) => {
        states.push(state);
        if (!waiting) return;
        const { until, ...why } = waiting;
        waits.push({ ...why, milliseconds: until - Date.now() });
      },
    };
  });

  afterEach(() => {
    expect(trigger.subscriberCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
}

/** Resolves after one turn of the event loop, which fake timers do not hold up. */
export const turn = () =>
  new Promise<void>((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (port1.close(), resolve());
    port2.postMessage(0);
  });

/** Reads a stream to its end, advancing the clock only while the client waits to reconnect. */
export async function readAll(events: AsyncGenerator<AnswerEvent>): Promise<AnswerEvent[]> {
  const seen: AnswerEvent[] = [];
  const reading = (async () => {
    for await (const event of events) seen.push(event);
    return seen;
  })();
  let isOver = false;
  const markOver = () => void (isOver = true);
  reading.then(markOver, markOver);
  while (!isOver) {
    await turn();
    if (states.at(-1) === "waiting") await vi.advanceTimersToNextTimerAsync();
  }
  return reading;
}

/** The text of the answer that these events make. */
export function textOf(events: AnswerEvent[]): string {
  const blocks: Block[] = [];
  events.forEach((event) => applyEvent(blocks, event));
  return blocks.map((block) => ("text" in block ? block.text : "")).join("");
}
