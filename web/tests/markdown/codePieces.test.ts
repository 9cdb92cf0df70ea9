import { describe, expect, test } from "vitest";
import { CodePieces, PIECE_CHARS } from "../../src/markdown/codePieces";

/** Definitions of four lines each, with an empty line between them. */
const CODE = Array.from(
  { length: 900 },
  (_, at) => `def number_${at}():\n    """Says ${at}."""\n\n    return ${at}\n\n`,
).join("");

describe("long code", () => {
  test("is all there, in pieces of no more than a length", () => {
    const pieces = new CodePieces().update(CODE);

    expect(pieces.join("")).toBe(CODE);
    expect(pieces.length).toBeGreaterThan(CODE.length / PIECE_CHARS);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(PIECE_CHARS);
  });

  test("is cut between definitions", () => {
    for (const piece of new CodePieces().update(CODE)) expect(piece).toMatch(/^def /);
  });

  test("is cut at the end of a line if it has no definitions", () => {
    const pieces = new CodePieces().update("  x = 1;\n".repeat(3000));

    for (const piece of pieces) expect(piece).toMatch(/^  x = 1;\n[^]*;\n$/);
  });

  test("of one line is one piece", () => {
    expect(new CodePieces().update("x".repeat(100_000))).toHaveLength(1);
  });
});

describe("code that grows", () => {
  test("has the pieces at each length that it would have at once", () => {
    const growing = new CodePieces();
    for (let end = 0; end < 30_000; end += 997) {
      const code = CODE.slice(0, end);

      expect(growing.update(code)).toEqual(new CodePieces().update(code));
    }
  });

  test("changes its last piece only", () => {
    const growing = new CodePieces();
    let changed = 0;
    let before: string[] = [];
    for (let end = 0; end < CODE.length; end += 100) {
      const pieces = growing.update(CODE.slice(0, end));
      changed += pieces.filter((piece, index) => piece !== before[index]).length;
      before = pieces;
    }

    // One for each growth, and two where a piece has become full.
    expect(changed).toBeLessThanOrEqual(Math.ceil(CODE.length / 100) + before.length);
  });

  test("begins anew with other code", () => {
    const pieces = new CodePieces();
    pieces.update(CODE);

    expect(pieces.update("other")).toEqual(["other"]);
  });
});
