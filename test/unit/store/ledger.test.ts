import { describe, expect, it } from "vitest";
import type { Quota, QuotaState } from "../../../src/store/contract.ts";
import { charge, createRecords, decide, giveBack, type Records } from "../../../src/store/ledger.ts";
import { chargeRing, RING, stepOf } from "../../../src/store/window.ts";

const T = 1_750_000_000_000;
const rate = (limit: number, cost?: number) => ({ key: "r", limit, window: 60, ...(cost !== undefined && { cost }) });
const uses = (limit: number, more: object = {}) => ({ key: "u", limit, expiresAt: T + 60_000, ...more });

/** Records of which each lies at the given place of its cells. */
function lying(...given: ([cells: number[] | Float64Array, base?: number] | undefined)[]): Records {
  const records = createRecords(true);
  given.forEach((one, i) => {
    if (one === undefined) return;
    records.cells[i] = Float64Array.from(one[0]);
    records.base[i] = one[1] ?? 0;
  });
  return records;
}

/** A ring with what was charged: how long before T, and how much. */
function ring(...charges: [ago: number, units: number][]): Float64Array {
  const cells = new Float64Array(RING);
  for (const [ago, units] of charges) chargeRing(cells, 0, "r", 60, T - ago, units);
  return cells;
}

describe("decide", () => {
  it("reads records of uses where they lie, the first of all too", () => {
    const quota = uses(5);
    const states = (...given: Parameters<typeof lying>): QuotaState[] => decide([quota], lying(...given), T).states;
    expect(states(undefined)).toEqual([{ remaining: 5, resetAt: T + 60_000 }]);
    // Somebody charged with a later end: until then the record stays.
    expect(states([[T + 90_000, 3]])).toEqual([{ remaining: 2, resetAt: T + 90_000 }]);
    expect(states([[T + 10, 3]])).toEqual([{ remaining: 2, resetAt: T + 60_000 }]);
    expect(states([[9, 9, T + 90_000, 4], 2])).toEqual([{ remaining: 1, resetAt: T + 90_000 }]);
    expect(states([[T + 90_000, 7]])).toEqual([{ remaining: 0, resetAt: T + 90_000, why: "full" }]);
  });

  it("does not read what another call left where no record lies", () => {
    const records = lying([[T + 90_000, 3]], [ring([0, 3])]);
    records.base.fill(-1);
    expect(decide([uses(5), rate(5)], records, T).states).toEqual([
      { remaining: 5, resetAt: T + 60_000 },
      { remaining: 5, resetAt: T },
    ]);
  });

  it("a block that is over at this very instant is over", () => {
    const records = lying(undefined, undefined);
    records.blocked.set([T, T + 1]);
    const { ok, refused, retryAfter, states } = decide([rate(5), { ...rate(5), key: "s" }], records, T);
    expect([ok, refused, retryAfter]).toEqual([false, 1, 1]);
    expect(states).toEqual([
      { remaining: 5, resetAt: T },
      { remaining: 0, resetAt: T, why: "blocked" },
    ]);
  });

  it("a blocked rate that has room waits for the block alone; a full one for the later of the two", () => {
    const wait = (cells: Float64Array, cost: number, block: number): number => {
      const records = lying([cells]);
      records.blocked[0] = T + block;
      return decide([rate(5, cost)], records, T).retryAfter;
    };
    expect(wait(ring([0, 3]), 2, 5000)).toBe(5);
    expect(wait(ring([0, 3]), 3, 5000)).toBeGreaterThan(59);
    expect(wait(ring([0, 3]), 3, 90_000)).toBe(90);
  });

  it("names the first uses quota that refuses, whatever rates refuse before or after it", () => {
    const full: [number[]] = [[T + 60_000, 1]];
    const quotas: Quota[] = [rate(1), uses(1), { ...uses(1), key: "v" }, { ...rate(1), key: "s" }];
    const records = lying([ring([0, 1])], full, full, [ring([30_000, 1])]);
    expect(decide(quotas, records, T)).toMatchObject({ ok: false, refused: 1, retryAfter: expect.any(Number) });
    expect(decide(quotas.slice(0, 1), records, T).refused).toBe(0);
  });

  it("names the rate that waits longest, and of equal ones the first", () => {
    const quotas = ["a", "b", "c"].map((key) => ({ ...rate(1), key }));
    const [young, old] = [ring([0, 1]), ring([30_000, 1])];
    expect(decide(quotas, lying([old], [young], [old]), T).refused).toBe(1);
    expect(decide(quotas, lying([young], [young], [old]), T).refused).toBe(0);
  });

  it("what costs nothing refuses nothing, and tells why it would", () => {
    const result = decide([uses(1, { cost: 0 }), rate(1, 0)], lying([[T + 60_000, 1]], [ring([0, 1])]), T);
    expect(result).toMatchObject({ ok: true, refused: null, retryAfter: 0 });
    expect(result.states.map(({ why }) => why)).toEqual(["full", "full"]);
  });

  it("of a use that is over, or was issued before the store began, says so, and that nothing is left", () => {
    const state = (more: object): QuotaState | undefined => decide([uses(3, more)], lying(undefined), T, T - 1000).states[0];
    expect(state({ expiresAt: T })).toEqual({ remaining: 0, resetAt: T, why: "expired" });
    expect(state({ expiresAt: T + 1 })).toEqual({ remaining: 3, resetAt: T + 1 });
    expect(state({ issuedAt: T - 1001 })).toEqual({ remaining: 0, resetAt: T + 60_000, why: "forgotten" });
    expect(state({ issuedAt: T - 1000 })).toEqual({ remaining: 3, resetAt: T + 60_000 });
    // A store that forgets nothing has no beginning.
    expect(decide([uses(3, { issuedAt: 0 })], lying(undefined), T).ok).toBe(true);
  });
});

describe("charge", () => {
  it("counts in the record, and tells the state after it", () => {
    const cells = new Float64Array([7, 7, T + 90_000, 2]);
    const state: QuotaState = { remaining: 3, resetAt: 0 };
    charge(uses(5, { cost: 3 }), cells, 2, T, state);
    expect([...cells]).toEqual([7, 7, T + 90_000, 5]);
    expect(state).toEqual({ remaining: 0, resetAt: T + 90_000 });
    charge(uses(9, { expiresAt: T + 95_000 }), cells, 2, T, state);
    expect([...cells]).toEqual([7, 7, T + 95_000, 6]);
  });
});

describe("giveBack", () => {
  it("tells of a rate whether some, none or the same is left", () => {
    const cells = ring([0, 3]);
    expect(giveBack(rate(5, 4), cells, 0, T, T)).toBe("same");
    expect(giveBack(rate(5, 0), cells, 0, T, T)).toBe("same");
    expect(giveBack(rate(5), cells, 0, T, T)).toBe("some");
    expect(giveBack(rate(5, 2), cells, 0, T, T)).toBe("none");
    expect(giveBack(rate(5), cells, 0, T, T)).toBe("same");
  });

  it("tells of uses whether some, none or the same is left, and releases nobody else's lease", () => {
    const cells = new Float64Array([T + 60_000, 3]);
    expect(giveBack(uses(5, { expiresAt: T + 60_001 }), cells, 0, T, T)).toBe("same");
    expect(giveBack(uses(5, { cost: 4 }), cells, 0, T, T)).toBe("same");
    expect(giveBack(uses(5, { cost: 0 }), cells, 0, T, T)).toBe("same");
    expect(giveBack(uses(5), cells, 0, T, T)).toBe("some");
    expect(giveBack(uses(5, { cost: 2 }), cells, 0, T, T)).toBe("none");
    expect([...cells]).toEqual([T + 60_000, 0]);
  });
});

it("a step is a tenth of the window", () => {
  expect(stepOf(60)).toBe(6000);
});
