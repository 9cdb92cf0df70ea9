import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openTab, type FakeTab } from "./fakeBrowser";

let tab: FakeTab;
beforeEach(() => {
  vi.resetModules();
  tab = openTab("/c/one");
});
afterEach(() => void vi.unstubAllGlobals());

test("navigating changes the address and what is open", async () => {
  const { conversationId, navigate, setLeafInUrl } = await import("../../src/state/route");
  expect(conversationId.value).toBe("one");

  navigate("two");
  setLeafInUrl("leaf");

  expect(conversationId.value).toBe("two");
  expect(tab.location).toMatchObject({ pathname: "/c/two", search: "?at=leaf" });
});

test.each([
  ["/", null],
  ["/c/one", "one"],
  ["/c/", ""],
  ["/c/one/two", ""],
  ["/settings", ""],
])("at %s the conversation is %j", async (path, conversation) => {
  openTab(path);
  const { conversationId, navigate } = await import("../../src/state/route");

  expect(conversationId.value).toBe(conversation);
  navigate(null);

  expect(conversationId.value).toBeNull();
});

test("a browser that refuses to change the address opens the conversation all the same", async () => {
  const refuse = () => {
    throw new DOMException("too many changes", "SecurityError");
  };
  vi.stubGlobal("history", { pushState: refuse, replaceState: refuse });
  const { conversationId, navigate, setLeafInUrl } = await import("../../src/state/route");

  navigate("two");
  setLeafInUrl("leaf");
  expect(conversationId.value).toBe("two");
  navigate(null, true);

  expect(conversationId.value).toBeNull();
});

test("one step back closes the list, however often it was opened", async () => {
  const entries: unknown[] = [null];
  vi.stubGlobal("history", {
    get state() {
      return entries.at(-1);
    },
    pushState: (state: unknown) => void entries.push(state),
    back: () => {
      entries.pop();
      tab.window.dispatchEvent(new Event("popstate"));
    },
  });
  const { closeList, isListOpen, openList } = await import("../../src/state/route");

  openList();
  openList();
  expect(isListOpen.value).toBe(true);
  closeList();

  expect(isListOpen.value).toBe(false);
  expect(entries).toEqual([null]);
});
