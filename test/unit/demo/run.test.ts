import { simulate } from "gatepass/game";
import { describe, expect, it } from "vitest";
import { emberRing } from "../../../demo/game/ember-ring.ts";
import { IN, MAX_TICKS, OUT, PULSE } from "../../../demo/game/rules.ts";
import { createLiveRun, randomSeeds } from "../../../demo/web/run.ts";

const seeds = Array.from({ length: MAX_TICKS / PULSE }, (_, pulse) => new Uint8Array(16).fill(pulse + 1));

/** Lets time pass in frames of `ms`. */
function frames(run: ReturnType<typeof createLiveRun>, count: number, ms: number): void {
  for (let frame = 0; frame < count; frame++) run.advance(ms);
}

describe("a live run", () => {
  it("turns time into ticks, 60 a second, whatever the frames are", () => {
    for (const ms of [4, 16.7, 33.3, 100]) {
      const run = createLiveRun({ seeds });
      frames(run, Math.round(1000 / ms), ms);
      expect(Math.abs(run.tick - 60), `frames of ${ms} ms`).toBeLessThanOrEqual(1);
      expect(run.part).toBeGreaterThanOrEqual(0);
      expect(run.part).toBeLessThanOrEqual(1);
    }
  });

  it("does not leap after a hiccup", () => {
    const run = createLiveRun({ seeds });
    run.advance(20_000);
    expect(run.tick).toBeLessThanOrEqual(15);
  });

  it("ends after a minute and stays there", () => {
    const run = createLiveRun({ seeds });
    frames(run, 700, 100);
    expect(run.done).toBe(true);
    expect(run.tick).toBe(3600);
    expect(run.part).toBe(1);
  });

  it("a press counts once, in the next tick", () => {
    const run = createLiveRun({ seeds });
    run.press(OUT);
    expect(run.state.ring).toBe(1);
    frames(run, 10, 16.7);
    expect(run.state.ring).toBe(2);
    run.press(IN);
    frames(run, 10, 16.7);
    expect(run.state.ring).toBe(1);
  });

  it("is the same game at the speed of a test, with fresh randomness at every pulse", () => {
    const slow = createLiveRun({ seeds });
    const fast = createLiveRun({ seeds, speed: 20 });
    frames(slow, 4000, 16);
    frames(fast, 400, 16);
    expect(slow.done && fast.done).toBe(true);
    expect(fast.state).toEqual(slow.state);
    const [first = new Uint8Array(16)] = seeds;
    const stale = simulate(emberRing, { seed: first, inputs: Array.from({ length: MAX_TICKS }, () => 0) });
    expect(stale.state).not.toEqual(slow.state);
  });

  it("draws seeds of its own for every pulse", () => {
    const drawn = randomSeeds().map((seed) => seed.join());
    expect(drawn).toHaveLength(12);
    expect(new Set(drawn).size).toBe(12);
  });
});
