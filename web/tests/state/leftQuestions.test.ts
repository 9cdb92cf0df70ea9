import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

type Module = typeof import("../../src/state/leftQuestions");

/** Locks as browsers have them, of which a tab gives back its own when it is closed. */
class FakeLocks {
  readonly holders = new Map<string, object>();

  of(tab: object): Pick<LockManager, "request"> {
    const request = async (name: string, ...rest: unknown[]) => {
      const callback = rest.at(-1) as (lock: unknown) => Promise<unknown>;
      await Promise.resolve();
      const isFree = !this.holders.has(name);
      if (isFree) this.holders.set(name, tab);
      await callback(isFree ? { name } : null);
      if (isFree) this.holders.delete(name);
    };
    return { request: request as LockManager["request"] };
  }

  close(tab: object): void {
    for (const [name, holder] of this.holders) if (holder === tab) this.holders.delete(name);
  }
}

let locks: FakeLocks;
let storage: Partial<FakeTab>;

/** A tab's own copy of the module, as each page has one, of a browser with one storage. */
async function tabWith(found: object = {}): Promise<{ module: Module; tab: object }> {
  vi.resetModules();
  const { local } = openTab("/", storage);
  storage = { local };
  vi.stubGlobal("navigator", { locks: locks.of(found) });
  return { module: await import("../../src/state/leftQuestions"), tab: found };
}

/** Let the locks be given that were asked for. */
const granted = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  locks = new FakeLocks();
  storage = {};
});
afterEach(() => void vi.unstubAllGlobals());

test("what a tab was sending when it was closed is taken once, by the next page", async () => {
  const first = await tabWith();
  first.module.keep("ada", "one", { content: "Wait for me" });
  await granted();
  const next = await tabWith();
  expect(await next.module.take("ada")).toEqual([]); // the first tab is there

  locks.close(first.tab);

  expect(await next.module.take("bob")).toEqual([]);
  expect(await next.module.take("ada")).toEqual([{ content: "Wait for me" }]);
  expect(await next.module.take("ada")).toEqual([]);
});

test("what was accepted leaves nothing", async () => {
  const { module, tab } = await tabWith();
  module.keep("ada", "one", { content: "Sent" });
  await granted();
  module.keep("ada", "two", { content: "Sent at once" });

  module.drop("ada", "one");
  module.drop("ada", "two");
  await granted();

  expect(storage.local?.items.size).toBe(0);
  expect(locks.holders.size).toBe(0);
  locks.close(tab);
  expect(await (await tabWith()).module.take("ada")).toEqual([]);
});

test("without locks nothing is kept, and nothing taken from a tab that may be there", async () => {
  const { module } = await tabWith();
  vi.stubGlobal("navigator", {});

  module.keep("ada", "one", { content: "Wait" });
  await granted();

  expect(storage.local?.items.size).toBe(0);
  expect(await module.take("ada")).toEqual([]);
});
