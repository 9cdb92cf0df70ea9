import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { nextTick } from "vue";
import { changeElsewhere, openTab, type FakeTab } from "./fakeBrowser";

const NAME = "headrace.kept//unread/";

let tab: FakeTab;
beforeEach(() => {
  vi.resetModules();
  tab = openTab("/c/one");
});
afterEach(() => void vi.unstubAllGlobals());

async function loaded() {
  const { unread } = await import("../../src/state/unread");
  const { navigate } = await import("../../src/state/route");
  return { unread, navigate, marked: () => [...unread.ids.value] };
}

test("an answer that ends elsewhere is marked until its conversation is opened", async () => {
  const { unread, navigate, marked } = await loaded();
  unread.ended("one");
  expect(marked()).toEqual([]); // it was looked at
  unread.ended("two");
  unread.ended("two");
  expect(marked()).toEqual(["two"]);
  expect([...tab.local.items.keys()]).toEqual([`${NAME}two`]);

  navigate("two");
  await nextTick();

  expect(marked()).toEqual([]);
  expect(tab.local.items.size).toBe(0);
});

test("an answer that ends in a hidden tab is marked until the tab is looked at", async () => {
  const { unread, marked } = await loaded();
  tab.document.visibilityState = "hidden";
  unread.ended("one");
  expect(marked()).toEqual(["one"]);

  tab.document.visibilityState = "visible";
  tab.document.dispatchEvent(new Event("visibilitychange"));

  expect(marked()).toEqual([]);
});

test("marks are those of all tabs, and of the page before", async () => {
  tab.local.setItem(`${NAME}two`, "1");
  const { unread, marked } = await loaded();
  expect(marked()).toEqual(["two"]);

  changeElsewhere(tab, `${NAME}three`, "1");
  expect(marked()).toEqual(["two", "three"]);
  changeElsewhere(tab, `${NAME}two`, null);
  expect(marked()).toEqual(["three"]);
  unread.clear("three");

  expect(tab.local.items.size).toBe(0);
});

test("what another tab marks is unmarked by the tab that shows it", async () => {
  const { marked } = await loaded();

  changeElsewhere(tab, `${NAME}one`, "1");

  expect(marked()).toEqual([]);
  expect(tab.local.items.size).toBe(0);
});
