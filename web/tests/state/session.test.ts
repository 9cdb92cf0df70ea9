import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keptName } from "../../src/state/browserStorage";
import { changeElsewhere, openTab, type FakeTab } from "./fakeBrowser";

let tab: FakeTab;
beforeEach(() => {
  vi.resetModules();
  tab = openTab();
});
afterEach(() => void vi.unstubAllGlobals());

const KEY = "headrace.key";
const ALICE = JSON.stringify({ key: "hr_a", user: "alice" });

test("a key that is stored is used, the tab's own before the device's", async () => {
  tab.local.setItem(KEY, ALICE);
  tab.session.setItem(KEY, JSON.stringify({ key: "hr_b", user: "bob" }));

  const { headers, isRemembered, user } = await import("../../src/state/session");

  expect(user.value).toBe("bob");
  expect(isRemembered.value).toBe(false);
  expect(await headers()).toEqual({ Authorization: "Bearer hr_b" });
});

test.each([
  ...["garbage", "{}", "[]", "null", '"hr_a"', '{"key":"hr_a"}', '{"key":1,"user":"alice"}'],
  ...['{"key":"密钥","user":"alice"}', '{"key":"","user":"alice"}', '{"key":"hr_a","user":""}'],
])("with %j as its key the page starts, and asks with none", async (damaged) => {
  tab.session.setItem(KEY, damaged);
  tab.local.setItem(KEY, damaged);
  const { headers, isRemembered, user } = await import("../../src/state/session");

  expect(user.value).toBeNull();
  expect(isRemembered.value).toBe(false);
  expect(await headers()).toEqual({});
});

test("a damaged key of the tab does not hide the device's", async () => {
  tab.session.setItem(KEY, "garbage");
  tab.local.setItem(KEY, ALICE);

  const { isRemembered, user } = await import("../../src/state/session");

  expect(user.value).toBe("alice");
  expect(isRemembered.value).toBe(true);
});

test("a page that asks for a key takes one from another tab, and no garbage", async () => {
  const { ApiError } = await import("../../src/stream");
  const { headers, signInReason, user } = await import("../../src/state/session");
  const error = new ApiError(401, "credentials_required", "");
  const waiting = headers({ error, headers: {} });
  expect(signInReason.value).toBe("credentials_required");

  changeElsewhere(tab, KEY, "garbage");
  expect(signInReason.value).toBe("credentials_required");
  changeElsewhere(tab, KEY, ALICE);

  expect(await waiting).toEqual({ Authorization: "Bearer hr_a" });
  expect(user.value).toBe("alice");
});

test("signing out removes what was kept for the user, and not what is others'", async () => {
  tab.local.setItem(KEY, ALICE);
  tab.local.setItem(keptName("alice", "model"), "m");
  tab.local.setItem(keptName("bob", "model"), "m");
  const { signOut } = await import("../../src/state/session");

  signOut();

  expect([...tab.local.items.keys()]).toEqual([keptName("bob", "model")]);
  expect(tab.location.replaced).toEqual(["/"]);
});
