/** A scripted server: `fetch` returns real `Response` objects, whose streams the test writes. */

const encoder = new TextEncoder();

type Step = (controller: ReadableStreamDefaultController<Uint8Array>) => void;

/** A response that the test writes piece by piece; what was written before it breaks off arrives. */
export class StreamedResponse {
  readonly response: Response;
  /** Resolves when the reader cancels the body. */
  readonly cancelled: Promise<void>;
  #steps: Step[] = [];
  #more: () => void = () => undefined;
  #break!: () => void;

  constructor(contentType = "text/event-stream; charset=utf-8") {
    let onCancel!: () => void;
    this.cancelled = new Promise((resolve) => (onCancel = resolve));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#break = () => controller.error(new DOMException("aborted", "AbortError"));
      },
      pull: async (controller) => {
        while (!this.#steps.length) await new Promise<void>((more) => (this.#more = more));
        this.#steps.shift()?.(controller);
      },
      cancel: onCancel,
    });
    this.response = new Response(body, { headers: { "Content-Type": contentType } });
  }

  bytes(bytes: Uint8Array): this {
    return this.#then((controller) => controller.enqueue(bytes));
  }

  raw(text: string): this {
    return this.bytes(encoder.encode(text));
  }

  start(answerId = "a1"): this {
    const data = { conversation_id: "c1", question_id: "q1", answer_id: answerId, model: "m" };
    return this.raw(`retry: 1000\nevent: start\ndata: ${JSON.stringify(data)}\n\n`);
  }

  delta(id: number, text: string): this {
    return this.raw(`id: ${id}\nevent: delta\ndata: ${JSON.stringify({ text })}\n\n`);
  }

  end(id: number, status = "complete"): this {
    const data = { status, finish_reason: "stop", usage: null, timing: null };
    return this.raw(`id: ${id}-end\nevent: end\ndata: ${JSON.stringify(data)}\n\n`).close();
  }

  close(): this {
    return this.#then((controller) => controller.close());
  }

  /** Breaks the connection off, which `fetch` reports as a TypeError. */
  cut(): this {
    return this.#then((controller) => controller.error(new TypeError("network error")));
  }

  /** Fails the body at once, as a browser does when the request is aborted. */
  abort(): void {
    this.#break();
  }

  #then(step: Step): this {
    this.#steps.push(step);
    this.#more();
    return this;
  }
}

export interface RecordedRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Responds to requests in their order, with what the test put into `responses`. */
export class FakeServer {
  readonly requests: RecordedRequest[] = [];
  readonly responses: (StreamedResponse | Response | Error)[] = [];
  #waiters: (() => void)[] = [];

  readonly fetch: typeof fetch = (input, init) => {
    this.requests.push({
      method: init?.method ?? "GET",
      path: String(input),
      headers: { ...(init?.headers as Record<string, string>) },
      body: init?.body as string | undefined,
    });
    this.#waiters.splice(0).forEach((wake) => wake());
    const response = this.responses.shift();
    return new Promise((resolve, reject) => {
      const abort = () => reject(init?.signal?.reason);
      if (init?.signal?.aborted) return abort();
      init?.signal?.addEventListener("abort", abort);
      if (response instanceof Error) reject(response);
      else if (response instanceof Response) resolve(response);
      else if (response) {
        init?.signal?.addEventListener("abort", () => response.abort());
        resolve(response.response);
      } // without a response the request stays pending
    });
  };

  /** Waits until `count` requests have arrived. */
  async arrived(count: number): Promise<void> {
    while (this.requests.length < count)
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }
}

/** A refusal in the API's format. */
export const refusal = (status: number, code: string, more: object = {}, headers = {}): Response =>
  new Response(JSON.stringify({ error: { code, message: "No.", request_id: "r1", ...more } }), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

/** A reconnect trigger that the test fires. */
export class FakeTrigger {
  readonly #subscribers = new Set<() => void>();

  readonly subscribe = (reconnect: () => void) => {
    this.#subscribers.add(reconnect);
    return () => void this.#subscribers.delete(reconnect);
  };

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  fire(): void {
    [...this.#subscribers].forEach((reconnect) => reconnect());
  }
}
