/** A server made of `Response` objects with real streams, doing what the test says. */

const encoder = new TextEncoder();

type Step = (controller: ReadableStreamDefaultController<Uint8Array>) => void;

/** A response that the test writes piece by piece; what was written before it broke off arrives. */
export class Streaming {
  readonly response: Response;
  /** The reader let go of the body. */
  readonly left: Promise<void>;
  #steps: Step[] = [];
  #more: () => void = () => undefined;
  #break!: () => void;

  constructor(contentType = "text/event-stream; charset=utf-8") {
    let leave!: () => void;
    this.left = new Promise((resolve) => (leave = resolve));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#break = () => controller.error(new DOMException("aborted", "AbortError"));
      },
      pull: async (controller) => {
        while (!this.#steps.length) await new Promise<void>((more) => (this.#more = more));
        this.#steps.shift()?.(controller);
      },
      cancel: leave,
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

  /** The connection breaks off, as `fetch` says it. */
  cut(): this {
    return this.#then((controller) => controller.error(new TypeError("network error")));
  }

  /** As a browser breaks the body of a request that was aborted: at once. */
  abort(): void {
    this.#break();
  }

  #then(step: Step): this {
    this.#steps.push(step);
    this.#more();
    return this;
  }
}

export interface Sent {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string | undefined;
}

/** Answers requests in their order, by what the test put into `answers`. */
export class FakeServer {
  readonly requests: Sent[] = [];
  readonly answers: (Streaming | Response | Error)[] = [];
  #waiting: (() => void)[] = [];

  readonly fetch: typeof fetch = (input, init) => {
    this.requests.push({
      method: init?.method ?? "GET",
      path: String(input),
      headers: { ...(init?.headers as Record<string, string>) },
      body: init?.body as string | undefined,
    });
    this.#waiting.splice(0).forEach((tell) => tell());
    const answer = this.answers.shift();
    return new Promise((resolve, reject) => {
      const abort = () => reject(init?.signal?.reason);
      if (init?.signal?.aborted) return abort();
      init?.signal?.addEventListener("abort", abort);
      if (answer instanceof Error) reject(answer);
      else if (answer instanceof Response) resolve(answer);
      else if (answer) {
        init?.signal?.addEventListener("abort", () => answer.abort());
        resolve(answer.response);
      } // and without an answer it waits for ever
    });
  };

  /** When so many requests have arrived. */
  async arrived(count: number): Promise<void> {
    while (this.requests.length < count)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

export const refusal = (status: number, code: string, more: object = {}, headers = {}): Response =>
  new Response(JSON.stringify({ error: { code, message: "No.", request_id: "r1", ...more } }), {
    status,
    headers: { "Content-Type": "application/json", ...headers },
  });

/** Good news, told by the test. */
export class News {
  readonly #wake = new Set<() => void>();

  readonly wakeUps = (wake: () => void) => {
    this.#wake.add(wake);
    return () => void this.#wake.delete(wake);
  };

  get listeners(): number {
    return this.#wake.size;
  }

  tell(): void {
    [...this.#wake].forEach((wake) => wake());
  }
}
