import { describe, expect, test } from "vitest";
import { growth, merged, newestLeaf, pathTo, siblings, type Node } from "../../src/state/tree";

/** Messages from `"q1 a1<q1 q2<a1"`: each with what it goes on from, in the order of the list. */
function messages(list: string): Node[] {
  return list
    .split(" ")
    .filter(Boolean)
    .map((word) => {
      const [id = "", parent = null] = word.split("<");
      return { id, parent, role: id.startsWith("q") ? "user" : "assistant" };
    });
}

const ids = (nodes: readonly Node[] | undefined) => nodes?.map(({ id }) => id).join(" ");

// q1 ─ a1 ─ q2 ─ a2      and beside them a regenerated a3, an edited q4 with its answer and what
//    └ a3 ─ q3 ─ a4      followed, and an edited first question.
const LIST = "q1 a1<q1 q2<a1 a2<q2 a3<q1 q3<a3 a4<q3 q4<a1 a5<q4 q5 a6<q5";
const TREE = messages(LIST);

describe("the path to a message", () => {
  test.each([
    ["a2", "q1 a1 q2 a2"],
    ["a4", "q1 a3 q3 a4"],
    ["a5", "q1 a1 q4 a5"],
    ["a6", "q5 a6"],
    ["q3", "q1 a3 q3"],
  ])("%s goes by parents, not by the order of the list", (id, path) => {
    expect(ids(pathTo(TREE, id, true))).toBe(path);
  });

  test("is none to a message that is not here, and none in an empty conversation", () => {
    expect(pathTo(TREE, "a9", true)).toEqual([]);
    expect(pathTo([], null, true)).toEqual([]);
  });

  describe("while older pages are missing", () => {
    test("begins with the first question whose siblings are all known", () => {
      // q2 is left out: its parent is not here, so there may be others beside it.
      const page = messages("q2<a1 a2<q2 q6<a2 a7<q6 q7<a7 a8<q7");

      expect(ids(pathTo(page, "a8", false))).toBe("q6 a7 q7 a8");
    });

    test("never begins with an answer", () => {
      const page = messages("a1<q1 q2<a1 a2<q2");

      expect(ids(pathTo(page, "a2", false))).toBe("q2 a2");
    });

    test("shows a first question only once all of them are here", () => {
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

  test("of a message that is not here is itself, and of none is none", () => {
    expect(newestLeaf(TREE, "a9")).toBe("a9");
    expect(newestLeaf(TREE, null)).toBe(null);
  });
});

test("siblings have the same parent; first questions are siblings of each other", () => {
  const of = (id: string) => ids(siblings(TREE, TREE.find((node) => node.id === id) as Node));

  expect(of("a3")).toBe("a1 a3");
  expect(of("q2")).toBe("q2 q4");
  expect(of("q1")).toBe("q1 q5");
  expect(of("a2")).toBe("a2");
});

describe("growth", () => {
  const before = messages("q1 a1<q1 q2<a1 a2<q2 a3<q1");
  const path = pathTo(before, "a2", true);

  test.each([
    ["on the end of the path", "q6<a2 a7<q6", "a7"],
    ["beside its last answer", "a7<q2", "a7"],
    ["beside a question of it", "q6<a1 a7<q6", "a7"],
    ["beside its first question", "q6 a7<q6", "a7"],
    ["of more than one turn", "q6<a2 a7<q6 q7<a7 a8<q7", "a8"],
    ["on another branch", "q6<a3 a7<q6", null],
  ])("%s leads to %#", (_where, added, newest) => {
    expect(growth([...before, ...messages(added)], before, path)).toBe(newest);
  });

  test("is none where nothing is new, on whichever branch one is", () => {
    expect(growth(before, before, path)).toBe(null);
    expect(growth(before, before, pathTo(before, "a3", true))).toBe(null);
  });
});

describe("merging the newest page", () => {
  const known = messages("q1 a1<q1 q2<a1 a2<q2");

  test("it takes the place of what it lists, behind what it does not reach", () => {
    const page = messages("q2<a1 a2<q2 q3<a2");
    const together = merged(known, page);

    expect(ids(together)).toBe("q1 a1 q2 a2 q3");
    expect(together?.[2]).toBe(page[0]);
  });

  test("what came while it was on its way stays", () => {
    expect(ids(merged(known, messages("q1 a1<q1")))).toBe("q1 a1 q2 a2");
  });

  test("with a gap between them it stands alone, as it does where nothing was known", () => {
    expect(merged(known, messages("q9<a8 a9<q9"))).toBe(undefined);
    expect(merged([], messages("q1"))).toBe(undefined);
    expect(merged([], [])).toBe(undefined);
  });
});
