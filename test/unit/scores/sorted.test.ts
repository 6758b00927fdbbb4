import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryBoard } from "../../../src/scores/index.ts";
import { Sorted } from "../../../src/scores/sorted.ts";

interface Item {
  key: number;
}

const compare = (a: Item, b: Item): number => a.key - b.key;

/** The same in one array. */
function model(): { sorted: Sorted<Item>; items: Item[]; add(key: number): void; remove(index: number): void; check(): void } {
  const sorted = new Sorted(compare);
  const items: Item[] = [];
  return {
    sorted,
    items,
    add(key) {
      if (items.some((item) => item.key === key)) return;
      const item = { key };
      sorted.add(item);
      items.push(item);
      items.sort(compare);
    },
    remove(index) {
      const [item] = items.splice(index % Math.max(1, items.length), 1);
      if (item) sorted.delete(item);
    },
    check: () => expect([...sorted]).toEqual(items),
  };
}

test("adding and taking out in any order is as in one array, over the edges of pieces", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 0, max: 2000 }), (step, gone) => {
      const { sorted, items, add, remove, check } = model();
      for (let i = 0; i < 1600; i++) add((i * (2 * step + 1)) % 4096);
      check();
      for (let i = 0; i < gone; i++) remove(i * step);
      check();
      for (const index of [0, 1, 255, 256, 257, 511, 512, 513, items.length - 1]) {
        const item = items[index];
        if (item) expect(sorted.indexOf(item)).toBe(index);
        expect(sorted.slice(index - 2, index + 3)).toEqual(items.slice(Math.max(0, index - 2), Math.max(0, index + 3)));
      }
      expect(sorted.countBefore(({ key }) => key >= 1000)).toBe(items.filter(({ key }) => key < 1000).length);
      sorted.delete({ key: items[0]?.key ?? 0 });
      for (const item of items) item.key = -item.key;
      sorted.sort();
      items.reverse();
      check();
    }),
    { numRuns: 20 },
  );
});

test("taking everything out leaves room for all again", () => {
  const { items, add, remove, check } = model();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 700; i++) add(i);
    check();
    while (items.length > 0) remove(items.length - 1);
    check();
  }
});

test("a board of several thousand rows ranks them all", async () => {
  const board = memoryBoard();
  const rules = { periods: ["all"], order: "desc", operator: "best" } as const;
  const submit = (i: number, score: number) =>
    board.submit(
      { board: "main", player: `p${i}`, score, at: i, submission: `${i}.${score}`, level: "claimed", flags: [], name: "A B" },
      rules,
    );
  for (let i = 0; i < 3000; i++) expect((await submit(i, (i * 1237) % 3000)).rank).toBeLessThanOrEqual(i + 1);
  expect(await submit(3000, 2500)).toMatchObject({ rank: 500, best: true });
  const top = await board.top({ board: "main", period: "all", limit: 1000 });
  expect(top.map(({ rank }) => rank).slice(498, 502)).toEqual([499, 500, 500, 502]);
  await board.ban(top[0]?.player ?? "", true, "");
  const me = await board.ofPlayer({ board: "main", period: "all", player: "p3000" });
  expect(me?.rank).toBe(499);
  expect((await board.around(me?.id ?? "", 300)).map(({ rank }) => rank)).toContain(799);
});
