import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSimulation, defineGame, type GameDefinition, simulate } from "../../../src/game/index.ts";

interface State {
  x: number;
  coins: number[];
  score: number;
}

/** Walk left and right over coins that fall at random: every part of the contract is in it. */
const definition: GameDefinition<State, { width: number }> = {
  id: "coin-walk",
  version: 2,
  hz: 60,
  maxTicks: 600,
  input: { bits: 2, kind: "level" },
  params(raw) {
    if (raw === undefined) return { width: 16 };
    if (typeof raw === "object" && raw !== null && "width" in raw && typeof raw.width === "number") return { width: raw.width };
    throw new TypeError("Cannot use the parameters: width is missing");
  },
  init: ({ params, rng }) => ({
    x: rng.nextInt(params.width),
    coins: Array.from({ length: 4 }, () => rng.nextInt(params.width)),
    score: 0,
  }),
  step(state, input, rng, tick) {
    state.x += (input & 1) - (input >> 1);
    for (const [i, coin] of state.coins.entries()) {
      if (coin !== state.x) continue;
      state.score += 10 + (tick % 7);
      state.coins[i] = rng.nextInt(16);
    }
  },
  done: (state) => state.score > 500,
  score: (state) => state.score,
  hash(state, hasher) {
    hasher.int(state.x);
    hasher.ints(state.coins);
    hasher.int(state.score);
  },
};
const game = defineGame(definition);
const seed = new Uint8Array(16).map((_, i) => i * 17);
const inputs = Array.from({ length: 600 }, (_, tick) => (tick >> 4) % 3);

describe("simulate", () => {
  it("gives the golden run, the same on every engine", () => {
    const { state: _, ...result } = simulate(game, { seed, inputs });
    expect(result).toMatchInlineSnapshot(`
      {
        "done": true,
        "hash": 717749260,
        "score": 515,
        "ticks": 167,
      }
    `);
  });

  it("depends on seed, parameters and inputs, and on nothing else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.array(fc.nat(3), { maxLength: 700 }), (bytes, masks) => {
        const first = simulate(game, { seed: bytes, inputs: masks });
        expect(simulate(game, { seed: new Uint8Array(bytes), inputs: masks.values() })).toEqual(first);
        expect(first.ticks).toBeLessThanOrEqual(game.maxTicks);
      }),
    );
    const other = new Uint8Array(seed);
    other[15] = 1;
    expect(simulate(game, { seed: other, inputs }).hash).not.toBe(simulate(game, { seed, inputs }).hash);
    expect(simulate(game, { seed, params: { width: 5 }, inputs }).hash).not.toBe(simulate(game, { seed, inputs }).hash);
  });

  it("ends at maxTicks whatever the inputs, and says when they ran out", () => {
    const endless = defineGame({ ...definition, done: () => false });
    function* forever(): Generator<number> {
      for (;;) yield 1;
    }
    expect(simulate(endless, { seed, inputs: forever() })).toMatchObject({ ticks: 600, done: true });
    expect(simulate(endless, { seed, inputs: [1, 1, 1] })).toMatchObject({ ticks: 3, done: false });
    const never = defineGame({ ...definition, done: () => true });
    expect(simulate(never, { seed, inputs: forever() })).toMatchObject({ ticks: 0, done: true });
  });
});

describe("createSimulation", () => {
  it("is simulate, tick by tick", () => {
    const run = createSimulation(game, { seed });
    for (const input of inputs) if (!run.done) run.step(input);
    const { ticks, score, hash } = simulate(game, { seed, inputs });
    expect([run.tick, run.score(), run.hash()]).toEqual([ticks, score, hash]);
  });

  it("takes no input as 0, and refuses masks outside the alphabet and steps after the end", () => {
    const run = createSimulation(game, { seed });
    const x = run.state.x;
    run.step();
    expect(run.state.x).toBe(x);
    for (const mask of [4, -1, 0.5, Number.NaN]) expect(() => run.step(mask)).toThrow(RangeError);
    expect(run.tick).toBe(1);
    while (!run.done) run.step(1);
    expect(() => run.step(0)).toThrow(RangeError);
  });

  it("goes on with new randomness after reseed", () => {
    const [a, b] = [createSimulation(game, { seed }), createSimulation(game, { seed })];
    b.reseed(new Uint8Array(16));
    for (const run of [a, b]) for (let i = 0; i < 30; i++) run.step(i < 15 ? 1 : 2);
    expect(a.hash()).not.toBe(b.hash());
    expect(() => b.reseed(new Uint8Array(4))).toThrow(RangeError);
  });

  it("never reports a score that is no safe integer, nor -0", () => {
    const scored = (score: () => number): number => createSimulation(defineGame({ ...definition, score }), { seed }).score();
    for (const bad of [0.5, Number.NaN, 1e300])
      expect(() => scored(() => bad)).toThrow(expect.objectContaining({ code: "ERR_GAME_INVALID" }));
    expect(
      Object.is(
        scored(() => -0),
        0,
      ),
    ).toBe(true);
  });

  it("passes on what the game says of bad parameters", () => {
    expect(() => createSimulation(game, { seed, params: { height: 3 } })).toThrow("width is missing");
    const { params: _, init: __, ...rest } = definition;
    const bare = defineGame({ ...rest, init: () => ({ x: 0, coins: [], score: 0 }) });
    expect(bare.params(undefined)).toBeUndefined();
    expect(() => createSimulation(bare, { seed, params: {} })).toThrow(TypeError);
  });
});

describe("defineGame", () => {
  it("fills defaults and freezes", () => {
    expect(game.segmentTicks).toBe(300);
    expect(defineGame({ ...definition, segmentTicks: 60 }).segmentTicks).toBe(60);
    expect(Object.isFrozen(game) && Object.isFrozen(game.input)).toBe(true);
  });

  it.each([
    ["id", ""],
    ["id", "Coin"],
    ["id", "-coin"],
    ["id", "c".repeat(33)],
    ["version", 0],
    ["version", 1.5],
    ["hz", 0],
    ["hz", 241],
    ["maxTicks", 0],
    ["maxTicks", 18_001],
    ["segmentTicks", 0],
    ["segmentTicks", 18_001],
    ["input", { bits: 0, kind: "edge" }],
    ["input", { bits: 9, kind: "edge" }],
  ])("refuses %s = %j with a RangeError", (name, value) => {
    expect(() => defineGame({ ...definition, [name]: value })).toThrow(RangeError);
  });

  it.each([
    ["id", 7],
    ["hz", "60"],
    ["version", undefined],
    ["input", null],
    ["input", { bits: 2, kind: "both" }],
    ["input", { bits: 2, kind: "edge", repeat: true }],
    ["init", undefined],
    ["step", 1],
    ["score", {}],
    ["hash", null],
    ["done", 3],
    ["params", "none"],
    ["maxtick", 600],
  ])("refuses %s = %j with a TypeError", (name, value) => {
    expect(() => defineGame({ ...definition, [name]: value })).toThrow(TypeError);
  });
});
