import { describe, expect, it } from "vitest";
import { Table } from "../../../src/store/table.ts";

/** A table with these keys, each of which dies at its own instant. */
function filled(keys: Record<string, number>, ordered = false): Table {
  const table = new Table(2, ordered);
  for (const [key, dies] of Object.entries(keys)) {
    const index = table.add(key);
    table.cells(index)[table.base(index)] = dies;
  }
  return table;
}

describe("Table", () => {
  it("finds what lives, and removes what it finds dead", () => {
    const table = filled({ a: 10, b: 11 });
    expect([table.find("a", 10), table.find("b", 10), table.find("c", 10)]).toEqual([-1, 1, -1]);
    expect([table.size, [...table.keys()]]).toEqual([1, ["b"]]);
    expect(table.find("b", 11)).toBe(-1);
    expect(table.size).toBe(0);
  });

  it("uses the slots of removed keys again, the last removed first, and begins at zeros", () => {
    const table = filled({ a: 1, b: 2, c: 3 });
    for (const index of [0, 2]) table.remove(index);
    expect([table.add("d"), table.add("e"), table.add("f"), table.add("g")]).toEqual([2, 0, 3, 4]);
    for (const key of ["d", "e"]) {
      const index = table.find(key, -1);
      expect(table.cells(index).subarray(table.base(index), table.base(index) + 2)).toEqual(new Float64Array(2));
    }
    expect(table.find("b", 1)).toBe(1);
  });

  it("needs no more memory for a million keys that come and go than for those that are there at once", () => {
    const table = new Table(1);
    const indexes = new Set<number>();
    const chunks = new Set<Float64Array>();
    for (let i = 0; i < 20_000; i++) {
      const index = table.add(`k${i}`);
      indexes.add(index);
      chunks.add(table.cells(index));
      if (i >= 1500) table.remove(table.find(`k${i - 1500}`, -1));
    }
    expect([table.size, indexes.size, chunks.size]).toEqual([1500, 1501, 2]);
  });

  it("removes a record once", () => {
    const table = filled({ a: 1, b: 2 }, true);
    for (const index of [0, 0, -1, 7]) table.remove(index);
    expect([table.size, table.oldest()]).toEqual([1, 1]);
    expect([table.add("c"), table.add("d")]).toEqual([0, 2]);
  });

  it("keeps records of a thousand in one piece, and says where there is none", () => {
    const table = new Table(3);
    const indexes = Array.from({ length: 2049 }, (_, i) => table.add(`k${i}`));
    const pieces = indexes.map((index) => table.cells(index));
    expect(new Set(pieces.slice(0, 1024)).size).toBe(1);
    expect(new Set(pieces.slice(1024, 2048)).size).toBe(1);
    expect(new Set(pieces).size).toBe(3);
    expect(pieces[0]).toHaveLength(3072);
    expect([0, 1, 1023, 1024, 1025].map((index) => table.base(index))).toEqual([0, 3, 3069, 0, 3]);
    expect(() => table.cells(3072)).toThrow(new RangeError("Cannot read a record: no such index"));
  });

  it("tells the record whose touch is longest ago, whichever is touched and removed", () => {
    const table = new Table(1, true);
    expect(table.oldest()).toBe(-1);
    const order: number[] = [];
    const check = (): void => expect(table.oldest()).toBe(order[0] ?? -1);
    for (let i = 0; i < 1100; i++) order.push(table.add(`k${i}`));
    check();
    // The oldest, the youngest and those between, in a fixed disorder; across the end of a piece.
    for (let i = 0; i < 3000; i++) {
      const at = [0, order.length - 1, (i * 7919) % order.length][i % 3] ?? 0;
      const [index = 0] = order.splice(at, 1);
      if (i % 4 === 3) table.remove(index);
      else {
        table.touch(index);
        order.push(index);
      }
      check();
    }
    while (order.length > 0) {
      table.remove(order.shift() ?? -1);
      check();
    }
    expect(table.oldest()).toBe(-1);
  });

  it("without an order there is no oldest, and a touch does nothing", () => {
    const table = filled({ a: 1 });
    table.touch(0);
    expect(table.oldest()).toBe(-1);
  });

  it("sweeps as many as it is told, going on where it stopped", () => {
    const table = filled({ a: 1, b: 9, c: 1, d: 1, e: 2 });
    expect(table.sweep(1, 0)).toBe(0);
    expect(table.sweep(1, 2)).toBe(1);
    expect([...table.keys()]).toEqual(["b", "c", "d", "e"]);
    // At most one of the two that are dead.
    expect(table.sweep(1, 9, 1)).toBe(1);
    expect([...table.keys()]).toEqual(["b", "d", "e"]);
    expect(table.sweep(1, 9)).toBe(1);
    expect([...table.keys()]).toEqual(["b", "e"]);
    // Never more than a round: `look` may be larger than the table.
    expect(table.sweep(2, 1e9)).toBe(1);
    expect(table.sweep(8, 1e9)).toBe(0);
    expect(table.sweep(9, 1e9)).toBe(1);
    expect(table.size).toBe(0);
  });
});
