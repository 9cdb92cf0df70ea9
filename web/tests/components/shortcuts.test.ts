import { beforeAll, describe, expect, test, vi } from "vitest";

type Shortcuts = typeof import("../../src/components/shortcuts");
let shortcuts: Shortcuts;
beforeAll(async () => {
  vi.stubGlobal("navigator", { platform: "Linux x86_64" });
  shortcuts = await import("../../src/components/shortcuts");
});

/** A keydown, such as `Ctrl+Shift+O` or `Ctrl+щ@KeyO` with the key's place. */
function pressed(keys: string) {
  const parts = keys.split("+");
  const [key = "", code = ""] = (parts.at(-1) ?? "").split("@");
  const has = (modifier: string) => parts.slice(0, -1).includes(modifier);
  return {
    ...{ key, code, ctrlKey: has("Ctrl"), metaKey: has("Meta") },
    ...{ shiftKey: has("Shift"), altKey: has("Alt") },
  };
}

describe("a shortcut", () => {
  test.each([
    ["Ctrl+Shift+O", "newConversation"],
    ["Ctrl+k", "search"],
    ["Ctrl+K", "search"], // with Caps Lock
    ["Shift+Escape", "focus"],
    ["Escape", "stop"],
    ["Ctrl+Shift+C", "copyLast"],
    ["Ctrl+/", "help"],
    ["Ctrl+Shift+/", "help"], // where the slash is typed with Shift
    ["Ctrl+л@KeyK", "search"],
    ["Ctrl+Shift+Щ@KeyO", "newConversation"],
    ["Ctrl+c", undefined], // copies what is selected
    ["Ctrl+o", undefined],
    ["k", undefined],
    ["/", undefined],
    ["Ctrl+Alt+k", undefined], // AltGr on Windows
    ["Meta+k", undefined],
    ["Ctrl+t@KeyK", undefined], // the letter counts, wherever the layout has it
  ])("is known by its keys: %s", (keys, name) => {
    expect(shortcuts.shortcutOf(pressed(keys))).toBe(name);
  });

  test("is none of the keys without a name that a browser reports when it fills in a field", () => {
    const event = { ...pressed(""), key: undefined as never };

    expect(shortcuts.shortcutOf(event)).toBeUndefined();
  });

  test("needs Command on a Mac, where Ctrl edits text", () => {
    expect(shortcuts.shortcutOf(pressed("Meta+k"), true)).toBe("search");
    expect(shortcuts.shortcutOf(pressed("Ctrl+k"), true)).toBeUndefined();
  });
});

test("no two shortcuts have the same keys, and the sheet shows those", () => {
  const names = Object.keys(shortcuts.SHORTCUTS) as (keyof Shortcuts["SHORTCUTS"])[];
  const caps = names.map((name) => shortcuts.capsOf(name).join("+"));

  expect(new Set(caps).size).toBe(names.length);
  expect(caps).toContain("Ctrl+Shift+O");
  expect(caps).toContain("Esc");
});

test("Escape with Shift, which is a shortcut, neither cancels nor stops anything", () => {
  const sources = import.meta.glob<string>("../../src/**/*.vue", {
    query: "?raw",
    import: "default",
    eager: true,
  });

  const handlers = Object.values(sources).flatMap(
    (source) => source.match(/@keydown\.esc[\w.]*/g) ?? [],
  );

  expect(handlers.length).toBeGreaterThan(0);
  expect(handlers.filter((handler) => !handler.startsWith("@keydown.esc.exact"))).toEqual([]);
});
