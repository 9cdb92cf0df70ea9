import { describe, expect, it } from "vitest";
import { BlockGroups, GROUP_SIZE } from "../../src/markdown/blockGroups";

const blocks = (count: number) => Array.from({ length: count }, (_, key) => ({ key, tokens: [] }));
const drawn = (groups: ReturnType<BlockGroups["update"]>) => groups.map(({ isDrawn }) => isDrawn);

describe("the blocks of a growing text", () => {
  it("are all in the groups, in their order", () => {
    const all = blocks(2 * GROUP_SIZE + 1);
    const groups = new BlockGroups().update(all, "");
    expect(groups.map((group) => group.blocks.length)).toEqual([GROUP_SIZE, GROUP_SIZE, 1]);
    expect(groups.flatMap((group) => group.blocks)).toEqual(all);
  });

  it("are no group where there are none", () => {
    expect(new BlockGroups().update([], "")).toEqual([]);
  });

  it("are drawn once a whole group was laid out", () => {
    const groups = new BlockGroups();
    expect(drawn(groups.update(blocks(GROUP_SIZE), ""))).toEqual([false]);
    groups.laidOut();
    expect(drawn(groups.update(blocks(GROUP_SIZE + 1), ""))).toEqual([false, false]);
    groups.laidOut();
    expect(drawn(groups.update(blocks(GROUP_SIZE + 1), ""))).toEqual([true, false]);
  });

  it("are never drawn if all of them came at once", () => {
    const all = blocks(3 * GROUP_SIZE);
    expect(drawn(new BlockGroups().update(all, ""))).toEqual([false, false, false]);
  });

  it("are not drawn while nothing is laid out, as in reasoning that is folded", () => {
    const groups = new BlockGroups();
    groups.update(blocks(3 * GROUP_SIZE), "");
    expect(drawn(groups.update(blocks(3 * GROUP_SIZE), ""))).toEqual([false, false, false]);
  });

  it("are not drawn in another layout", () => {
    const groups = new BlockGroups();
    groups.update(blocks(2 * GROUP_SIZE), "wide");
    groups.laidOut();
    expect(drawn(groups.update(blocks(2 * GROUP_SIZE), "narrow"))).toEqual([false, false]);
    groups.laidOut();
    expect(drawn(groups.update(blocks(2 * GROUP_SIZE), "narrow"))).toEqual([true, false]);
  });

  it("are not drawn again if they became fewer", () => {
    const groups = new BlockGroups();
    groups.update(blocks(3 * GROUP_SIZE), "");
    groups.laidOut();
    groups.update(blocks(1), "");
    expect(drawn(groups.update(blocks(3 * GROUP_SIZE), ""))).toEqual([false, false, false]);
  });
});
