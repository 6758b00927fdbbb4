import fc from "fast-check";
import { createHasher, createRng, createSimulation, type Rng, simulate } from "gatepass/game";
import { describe, expect, it } from "vitest";
import { emberRing } from "../../../demo/game/ember-ring.ts";
import * as rules from "../../../demo/game/rules.ts";
import { pilot } from "../../../demo/web/pilot.ts";

const { ASH, IN, NONE, OUT, SPARK, STAR, TURN } = rules;

/** Puts what appears on the outermost ring, out of the way of an ember that stays inside. */
const away: Rng = { next: () => 0, nextInt: (n) => (n === 16 ? 15 : n === rules.RINGS ? 2 : 0) };

/** An ember on the innermost ring with nothing around. */
function ember(over: Partial<rules.Ember> = {}): rules.Ember {
  return { ...rules.init(), ring: 0, ...over };
}

/** Lays a thing right where the ember will be after one tick at `tick`. */
function lay(state: rules.Ember, kind: number, tick: number, age = rules.OUTLINE): void {
  const free = state.things.find((thing) => thing.kind === NONE);
  if (free === undefined) throw new Error("The pool is full");
  Object.assign(free, { kind, ring: state.ring, angle: (state.angle + rules.speedAt(tick)) & 4095, born: tick - age });
}

function steps(state: rules.Ember, from: number, count: number, input = 0): void {
  for (let tick = from; tick < from + count; tick++) rules.step(state, input, away, tick);
}

function seedOf(number: number): Uint8Array {
  const seed = new Uint8Array(16);
  new DataView(seed.buffer).setUint32(12, number);
  return seed;
}

/** A whole minute with fresh randomness at every pulse, as it is played. */
function play(
  seed: number,
  player: (state: rules.Ember, tick: number) => number,
): ReturnType<typeof createSimulation<rules.Ember, undefined>> {
  const run = createSimulation(emberRing, { seed: seedOf(seed) });
  while (!run.done) {
    if (run.tick > 0 && run.tick % rules.PULSE === 0) run.reseed(seedOf(seed + 1000 * run.tick));
    run.step(player(run.state, run.tick));
  }
  return run;
}

/** Presses something twice a second, without looking. */
function fidgeter(seed: number): () => number {
  const rng = createRng(seedOf(seed + 77));
  return () => (rng.nextInt(30) === 0 ? 1 << rng.nextInt(3) : 0);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

describe("the minute", () => {
  it("is 3600 ticks at 60 Hz with a pulse every 5 s, three buttons", () => {
    expect(emberRing).toMatchObject({ id: "ember-ring", hz: 60, maxTicks: 3600, segmentTicks: 300, input: { bits: 3, kind: "edge" } });
    expect(play(1, () => 0).tick).toBe(3600);
  });

  it("runs faster by one 4096th a tick every ten seconds, from 14", () => {
    expect([0, 599, 600, 1200, 3599].map(rules.speedAt)).toEqual([14, 14, 15, 16, 19]);
    const state = ember();
    steps(state, 0, 3);
    expect(state.angle).toBe(42);
    steps(state, 600, 2);
    expect(state.angle).toBe(72);
  });

  it("goes round: past the top the angle starts again, in both directions", () => {
    const state = ember({ angle: 4090 });
    steps(state, 1, 1);
    expect(state.angle).toBe(8);
    steps(state, 2, 1, TURN);
    expect(state.angle).toBe(4090);
  });
});

describe("steering", () => {
  it("goes in and out by one ring and stops at the ends", () => {
    const state = ember({ ring: 1 });
    steps(state, 1, 1, IN);
    expect(state.ring).toBe(0);
    steps(state, 2, 1, IN);
    expect(state.ring).toBe(0);
    for (const tick of [3, 4, 5]) steps(state, tick, 1, OUT);
    expect(state.ring).toBe(2);
  });

  it("in and out at once cancel each other, a turn goes along", () => {
    const state = ember({ ring: 1 });
    steps(state, 1, 1, IN | OUT | TURN);
    expect(state).toMatchObject({ ring: 1, direction: -1 });
    steps(state, 2, 1, OUT | TURN);
    expect(state).toMatchObject({ ring: 2, direction: 1 });
  });
});

describe("things", () => {
  it("appear one every 24 ticks, and are gone after 480", () => {
    const state = ember();
    const born: number[] = [];
    for (let tick = 0; tick < 600; tick++) {
      const before = state.things.filter(({ kind }) => kind !== NONE).map((thing) => thing.born);
      rules.step(state, 0, away, tick);
      const now = state.things.filter(({ kind }) => kind !== NONE).map((thing) => thing.born);
      const fresh = now.filter((at) => !before.includes(at));
      expect(fresh).toEqual(tick % 24 === 0 ? [tick] : []);
      born.push(...fresh);
      expect(now.every((at) => tick - at < 480)).toBe(true);
      expect(now.includes(tick - 479)).toBe((tick - 479) % 24 === 0 && tick >= 479);
    }
    expect(born).toHaveLength(25);
  });

  it("never need more than the pool of 24", () => {
    for (let seed = 0; seed < 10; seed++) {
      const run = createSimulation(emberRing, { seed: seedOf(seed) });
      let spawned = 0;
      let most = 0;
      while (!run.done) {
        run.step();
        spawned += run.state.things.filter(({ kind, born }) => kind !== NONE && born === run.tick - 1).length;
        most = Math.max(most, run.state.things.filter(({ kind }) => kind !== NONE).length);
      }
      expect(run.state.things).toHaveLength(24);
      expect(most).toBeLessThanOrEqual(20);
      expect(spawned).toBe(150);
    }
  });

  it("are an outline for 45 ticks: touched before, nothing happens", () => {
    const early = ember();
    lay(early, SPARK, 100, 44);
    steps(early, 100, 1);
    expect(early.score).toBe(0);
    const due = ember();
    lay(due, SPARK, 100, 45);
    steps(due, 100, 1);
    expect(due.score).toBe(10);
  });

  it("count within reach on their own ring only", () => {
    for (const [ring, reach] of rules.REACH.entries()) {
      for (const [off, score] of [
        [reach, 10],
        [-reach, 10],
        [reach + 1, 0],
        [-reach - 1, 0],
      ] as const) {
        const state = ember({ ring });
        lay(state, SPARK, 100);
        const [thing] = state.things;
        if (thing) thing.angle = (thing.angle + off) & 4095;
        steps(state, 100, 1);
        expect(state.score, `ring ${ring}, off by ${off}`).toBe(score);
      }
    }
    const other = ember({ ring: 1 });
    lay(other, SPARK, 100);
    other.ring = 0;
    steps(other, 100, 1);
    expect(other.score).toBe(0);
  });

  it("leave a way out: ash never appears close to the ember, nor close to other ash", () => {
    const closest = { ember: 4096, ash: 4096 };
    for (let seed = 0; seed < 30; seed++) {
      const mash = fidgeter(seed);
      const run = createSimulation(emberRing, { seed: seedOf(seed) });
      while (!run.done) {
        const { ring, angle } = { ...run.state };
        run.step(mash());
        const ash = run.state.things.filter(({ kind }) => kind === ASH);
        const fresh = ash.find(({ born }) => born === run.tick - 1);
        if (!fresh) continue;
        if (fresh.ring === ring) closest.ember = Math.min(closest.ember, rules.distance(fresh.angle, angle));
        for (const other of ash) {
          if (other !== fresh && other.ring === fresh.ring) closest.ash = Math.min(closest.ash, rules.distance(other.angle, fresh.angle));
        }
      }
    }
    expect(closest.ember).toBeGreaterThanOrEqual(384);
    // Wider than the reach to both sides and what the ember covers in a tenth of a second, at its fastest on the innermost ring.
    expect(closest.ash).toBeGreaterThanOrEqual(2 * 112 + 6 * 19);
  });

  it("are a star at each pulse, eleven a minute, and sparks and ash besides", () => {
    const ticks = Array.from({ length: 3600 }, (_, tick) => tick).filter((tick) => tick % 24 === 0 && rules.isStarTick(tick));
    expect(ticks).toHaveLength(11);
    expect(ticks.every((tick) => tick % 300 < 24)).toBe(true);
    const kinds = { [SPARK]: 0, [ASH]: 0, [STAR]: 0 } as Record<number, number>;
    for (let seed = 0; seed < 10; seed++) {
      const run = createSimulation(emberRing, { seed: seedOf(seed) });
      while (!run.done) {
        run.step();
        for (const { kind, born } of run.state.things) if (kind !== NONE && born === run.tick - 1) kinds[kind] = (kinds[kind] ?? 0) + 1;
      }
    }
    expect(kinds[STAR]).toBe(110);
    expect(kinds[ASH]).toBeGreaterThan(300);
    expect(kinds[SPARK]).toBeGreaterThan(800);
  });
});

describe("points", () => {
  it("a spark gives 10 and a star 50, times the multiplier", () => {
    const state = ember({ multiplier: 3 });
    lay(state, SPARK, 100);
    steps(state, 100, 1);
    lay(state, STAR, 101);
    steps(state, 101, 1);
    expect(state).toMatchObject({ score: 180, sparks: 1, stars: 1, chain: 1, last: { kind: STAR, points: 150, tick: 101 } });
  });

  it("four sparks raise the multiplier by one, to 8 at most; a star is no link of the chain", () => {
    const state = ember();
    const reached: number[] = [];
    for (let spark = 0; spark < 40; spark++) {
      lay(state, SPARK, 1 + spark);
      steps(state, 1 + spark, 1);
      state.things.forEach((thing) => {
        thing.kind = NONE;
      });
      reached.push(state.multiplier);
    }
    expect(reached.slice(0, 8)).toEqual([1, 1, 1, 2, 2, 2, 2, 3]);
    expect(reached.at(27)).toBe(8);
    expect(Math.max(...reached)).toBe(8);
    expect(state.peak).toBe(8);
    const before = { ...state };
    lay(state, STAR, 50);
    steps(state, 50, 1);
    expect(state.chain).toBe(before.chain);
  });

  it("2.5 s of nothing lower the multiplier by one, again and again, never below 1; the chain is broken", () => {
    const state = ember({ multiplier: 3, chain: 2 });
    steps(state, 0, 149);
    expect(state).toMatchObject({ multiplier: 3, chain: 2 });
    steps(state, 149, 1);
    expect(state).toMatchObject({ multiplier: 2, chain: 0 });
    steps(state, 150, 149);
    expect(state.multiplier).toBe(2);
    steps(state, 299, 1);
    expect(state.multiplier).toBe(1);
    steps(state, 300, 400);
    expect(state.multiplier).toBe(1);
  });

  it("a catch of either kind starts the 2.5 s anew", () => {
    for (const kind of [SPARK, STAR]) {
      const state = ember({ multiplier: 3, idle: 148 });
      lay(state, kind, 100);
      steps(state, 100, 1);
      steps(state, 101, 148);
      expect(state.multiplier).toBe(3);
    }
  });
});

describe("ash", () => {
  it("resets multiplier and chain, gives nothing and holds the ember for a second", () => {
    const state = ember({ multiplier: 5, chain: 3, score: 700 });
    lay(state, ASH, 100);
    steps(state, 100, 1);
    expect(state).toMatchObject({ multiplier: 1, chain: 0, score: 700, ash: 1, stunned: 60, last: { kind: ASH, points: 0 } });
    const { angle } = state;
    steps(state, 101, 60, OUT | TURN);
    expect(state).toMatchObject({ angle, ring: 0, direction: 1, stunned: 0 });
    steps(state, 161, 1);
    expect(state.angle).toBe(angle + 14);
  });

  it("a held ember touches nothing", () => {
    const state = ember({ stunned: 60 });
    lay(state, SPARK, 100);
    const [thing] = state.things;
    if (thing) thing.angle = state.angle;
    steps(state, 100, 60);
    expect(state.score).toBe(0);
    steps(state, 160, 1);
    expect(state.score).toBe(10);
  });

  it("what lies beside the ash is not caught in the same breath", () => {
    const state = ember();
    lay(state, ASH, 100);
    lay(state, SPARK, 100);
    steps(state, 100, 1);
    expect(state).toMatchObject({ score: 0, stunned: 60 });
  });
});

describe("the module", () => {
  it("is deterministic: these runs have these ends, on every machine", () => {
    const ends = [1, 2, 3].flatMap((seed) => {
      return [play(seed, () => 0), play(seed, fidgeter(seed)), play(seed, pilot)].map((run) => `${run.score()} ${run.hash()}`);
    });
    expect(ends).toMatchInlineSnapshot(`
      [
        "1450 4202482308",
        "910 207585842",
        "5710 12979736",
        "650 1772498615",
        "590 2908499105",
        "6410 2412042008",
        "1070 3852268486",
        "730 1084380679",
        "3140 1562103930",
      ]
    `);
  });

  it("stays in integers and under the highest score, whatever is pressed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.array(fc.nat(7), { maxLength: 400 }), (seed, presses) => {
        const inputs = Array.from({ length: 3600 }, (_, tick) =>
          tick % 9 === 0 ? (presses[(tick / 9) % Math.max(1, presses.length)] ?? 0) : 0,
        );
        // The hash refuses fractions.
        const first = simulate(emberRing, { seed, inputs });
        expect(simulate(emberRing, { seed, inputs })).toEqual(first);
        expect(first.done).toBe(true);
        expect(first.score).toBeGreaterThanOrEqual(0);
        expect(first.score).toBeLessThanOrEqual(rules.MAX_SCORE);
        expect(first.state.multiplier).toBeLessThanOrEqual(8);
      }),
      { numRuns: 30 },
    );
  });

  it("has a highest score that follows from the rules: 150 things, 11 of them stars, all at x8", () => {
    expect(rules.MAX_SCORE).toBe(8 * (11 * 50 + 139 * 10));
  });

  it("hashes every field", () => {
    const base = hashOf(rules.init());
    const flat = [
      "ring",
      "angle",
      "direction",
      "stunned",
      "score",
      "multiplier",
      "chain",
      "idle",
      "sparks",
      "stars",
      "ash",
      "peak",
    ] as const;
    for (const field of flat) {
      const state = rules.init();
      state[field] += 1;
      expect(hashOf(state), field).not.toBe(base);
    }
    for (const field of ["kind", "ring", "angle", "born"] as const) {
      const state = rules.init();
      const last = state.things.at(-1);
      if (last) last[field] += 1;
      expect(hashOf(state), field).not.toBe(base);
    }
    for (const field of ["kind", "ring", "angle", "tick", "points"] as const) {
      const state = rules.init();
      state.last[field] += 1;
      expect(hashOf(state), field).not.toBe(base);
    }
    expect(Object.keys(rules.init()).sort()).toEqual([...flat, "things", "last"].sort());
  });

  it("rewards play: a modest pilot is far above fidgeting, and fidgeting is no better than nothing", () => {
    const seeds = Array.from({ length: 40 }, (_, seed) => seed + 1);
    const scores = (player: (seed: number) => (state: rules.Ember, tick: number) => number): number =>
      median(seeds.map((seed) => play(seed, player(seed)).score()));
    const idle = scores(() => () => 0);
    const fidget = scores(fidgeter);
    const played = scores(() => pilot);
    expect(played).toBeGreaterThan(5 * fidget);
    expect(fidget).toBeLessThan(idle * 1.3);
    expect(idle).toBeGreaterThan(200);
    expect(played).toBeLessThan(rules.MAX_SCORE * 0.8);
  });
});

function hashOf(state: rules.Ember): number {
  const hasher = createHasher();
  rules.hash(state, hasher);
  return hasher.value();
}
