import { afterEach, expect, test, vi } from "vitest";
import {
  deviceStorage,
  hasTexts,
  keptName,
  nameOfKey,
  tabStorage,
} from "../../src/state/browserStorage";
import { ForbiddenStorage, openTab } from "./fakeBrowser";

afterEach(() => void vi.unstubAllGlobals());

const isText = (value: unknown): value is { text: string } => hasTexts(value, "text");

test.each([
  ...["garbage", "", "{", "null", "1", '"text"', "[]", "{}", '{"text":1}', '{"text":null}', "\0"],
  ...["undefined", "NaN", '{"text":"a"', "[object Object]"],
])("%j in place of what was stored counts as missing", (damaged) => {
  const { local } = openTab();
  deviceStorage.write("headrace.item", JSON.stringify({ text: "kept" }));
  expect(deviceStorage.readJson("headrace.item", isText)).toEqual({ text: "kept" });

  local.setItem("headrace.item", damaged);

  expect(deviceStorage.readJson("headrace.item", isText)).toBeNull();
});

test("storage that throws is read as empty, and writing to it does nothing", () => {
  openTab("/", { local: new ForbiddenStorage(), session: new ForbiddenStorage() });

  for (const storage of [deviceStorage, tabStorage]) {
    storage.write("headrace.item", "a");
    storage.clear("");
    expect(storage.read("headrace.item")).toBeNull();
    expect(storage.readJson("headrace.item", isText)).toBeNull();
    expect(storage.names("")).toEqual([]);
  }
});

test("a window without storage is read as empty, too", () => {
  vi.stubGlobal("localStorage", undefined);

  deviceStorage.write("headrace.item", "a");

  expect(deviceStorage.read("headrace.item")).toBeNull();
  expect(deviceStorage.names("")).toEqual([]);
});

test("only the page's own items are listed and cleared", () => {
  const { local } = openTab();
  for (const key of ["theirs", "headracer", "headrace.item /elsewhere", "headrace.a", "headrace.b"])
    local.setItem(key, "x");

  expect(deviceStorage.names("headrace.")).toEqual(["headrace.a", "headrace.b"]);
  deviceStorage.clear("headrace.a");
  deviceStorage.clear("");

  expect([...local.items.keys()]).toEqual(["theirs", "headracer", "headrace.item /elsewhere"]);
});

test("what is kept for one user is cleared without what is kept for another", () => {
  const { local } = openTab();
  const users = ["a", "a/b", "a b", "a%2fb", "key", "键", "\ud800", null, ""];
  const names = users.map((user) => keptName(user, "model"));
  for (const name of names) deviceStorage.write(name, "m");
  expect(new Set(names).size).toBe(users.length - 1); // "" is no user's name, so null may have it
  for (const name of names) expect(nameOfKey(name)).toBe(name);

  deviceStorage.clear(keptName("a", ""));

  expect(local.items.size).toBe(users.length - 2);
  expect(deviceStorage.read(keptName("a", "model"))).toBeNull();
  expect(deviceStorage.read(keptName("a/b", "model"))).toBe("m");
});
