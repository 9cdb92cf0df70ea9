import { describe, expect, test } from "vitest";
import {
  mergeNewestPage,
  newestLeaf,
  newLeafFrom,
  pathTo,
  siblings,
  type TreeNode,
} from "../../src/state/messageTree";

/** Messages from `"q1 a1<q1 q2<a1"`: each with its parent, in the order of the list. */
function messages(list: string): TreeNode[] {
  return list
    .split(" ")
    .filter(Boolean)
    .map((word) => {
      const [id = "", parent = null] = word.split("<");
      return { id, parent, role: id.startsWith("q") ? "user" : "assistant" };
    });
}

const ids = (nodes: readonly TreeNode[] | undefined) => nodes?.map(({ id }) => id).join(" ");

// q1 ─ a1 ─ q2 ─ a2      a3 is a regenerated answer, q4 an edited version of q2, and q5 an edited
//    │    └ q4 ─ a5      version of the first question.
//    └ a3 ─ q3 ─ a4
// q5 ─ a6
const LIST = "q1 a1<q1 q2<a1 a2<q2 a3<q1 q3<a3 a4<q3 q4<a1 a5<q4 q5 a6<q5";
const TREE = messages(LIST);

describe("the path to a message", () => {
  test.each([
    ["a2", "q1 a1 q2 a2"],
    ["a4", "q1 a3 q3 a4"],
    ["a5", "q1 a1 q4 a5"],
    ["a6", "q5 a6"],
    ["q3", "q1 a3 q3"],
  ])("%s follows the parents, not the order of the list", (id, path) => {
    expect(ids(pathTo(TREE, id, true))).toBe(path);
  });

  test("is empty if the message is not loaded, and in an empty conversation", () => {
    expect(pathTo(TREE, "a9", true)).toEqual([]);
    expect(pathTo([], null, true)).toEqual([]);
  });

  describe("while older pages are missing", () => {
    test("begins with the first question whose siblings are all loaded", () => {
      // q2 is left out: its parent is not loaded, so it may have siblings that are not either.
      const page = messages("q2<a1 a2<q2 q6<a2 a7<q6 q7<a7 a8<q7");

      expect(ids(pathTo(page, "a8", false))).toBe("q6 a7 q7 a8");
    });

    test("never begins with an answer", () => {
      const page = messages("a1<q1 q2<a1 a2<q2");

      expect(ids(pathTo(page, "a2", false))).toBe("q2 a2");
    });

    test("shows a first question only once all of them are loaded", () => {
      const page = messages("q5 a6<q5");

      expect(pathTo(page, "a6", false)).toEqual([]);
      expect(ids(pathTo(page, "a6", true))).toBe("q5 a6");
    });
  });
});

describe("the newest leaf", () => {
  test.each([
    ["q1", "a5"],
    ["a1", "a5"],
    ["q2", "a2"],
    ["a3", "a4"],
    ["a6", "a6"],
  ])("below %s is %s", (id, leaf) => {
    expect(newestLeaf(TREE, id)).toBe(leaf);
  });

  test("below a message that is not loaded is that message, and below null is null", () => {
    expect(newestLeaf(TREE, "a9")).toBe("a9");
    expect(newestLeaf(TREE, null)).toBe(null);
  });
});

test("siblings have the same parent; first questions are siblings of each other", () => {
  const of = (id: string) => ids(siblings(TREE, TREE.find((node) => node.id === id) as TreeNode));

  expect(of("a3")).toBe("a1 a3");
  expect(of("q2")).toBe("q2 q4");
  expect(of("q1")).toBe("q1 q5");
  expect(of("a2")).toBe("a2");
});

describe("the new leaf", () => {
  const before = messages("q1 a1<q1 q2<a1 a2<q2 a3<q1");
  const path = pathTo(before, "a2", true);

  test.each([
    ["on the end of the path", "q6<a2 a7<q6", "a7"],
    ["beside its last answer", "a7<q2", "a7"],
    ["beside a question of it", "q6<a1 a7<q6", "a7"],
    ["beside its first question", "q6 a7<q6", "a7"],
    ["of more than one turn", "q6<a2 a7<q6 q7<a7 a8<q7", "a8"],
    ["on another branch", "q6<a3 a7<q6", null],
  ])("%s (%s) is %s", (_where, added, newest) => {
    expect(newLeafFrom([...before, ...messages(added)], before, path)).toBe(newest);
  });

  test("is null if nothing is new, whichever branch is shown", () => {
    expect(newLeafFrom(before, before, path)).toBe(null);
    expect(newLeafFrom(before, before, pathTo(before, "a3", true))).toBe(null);
  });
});

describe("merging the newest page", () => {
  const known = messages("q1 a1<q1 q2<a1 a2<q2");

  test("replaces the messages that it lists and keeps the older ones", () => {
    const page = messages("q2<a1 a2<q2 q3<a2");
    const merged = mergeNewestPage(known, page);

    expect(ids(merged)).toBe("q1 a1 q2 a2 q3");
    expect(merged?.[2]).toBe(page[0]);
  });

  test("keeps messages that were added while it was loading", () => {
    expect(ids(mergeNewestPage(known, messages("q1 a1<q1")))).toBe("q1 a1 q2 a2");
  });

  test("returns undefined if there is a gap, or if nothing was loaded", () => {
    expect(mergeNewestPage(known, messages("q9<a8 a9<q9"))).toBe(undefined);
    expect(mergeNewestPage([], messages("q1"))).toBe(undefined);
    expect(mergeNewestPage([], [])).toBe(undefined);
  });
});
