import { GatepassError } from "../errors.ts";
import { any, assertOptions, methods } from "../util/options.ts";
import type { Game } from "./define.ts";
import { createHasher } from "./hasher.ts";
import { createRng } from "./rng.ts";

/** A run of a game, advanced tick by tick. */
export interface Simulation<S> {
  /** The live state: to be drawn, not to be changed. */
  readonly state: S;
  /** Ticks done so far: the number of the next one. */
  readonly tick: number;
  /** Whether the run has ended, by the rules or by `maxTicks`. */
  readonly done: boolean;
  /**
   * One tick. `input` is the mask of this tick, default 0.
   *
   * @throws {RangeError} the mask has bits that the game does not know, or the run has ended
   */
  step(input?: number): void;
  /** Replaces the randomness, as at the start of a segment. @throws {RangeError} the seed has not 16 bytes */
  reseed(seed: Uint8Array): void;
  /** @throws {GatepassError} `ERR_GAME_INVALID`: the game's score is not a safe integer */
  score(): number;
  /** The state's hash, 0..2^32-1. */
  hash(): number;
}

/** Where a run ended. */
export interface SimulationResult<S> {
  state: S;
  /** Ticks that were simulated. */
  ticks: number;
  /** Whether the run has ended; false when the inputs ran out before. */
  done: boolean;
  score: number;
  /** 0..2^32-1. */
  hash: number;
}

/**
 * Starts a run.
 *
 * @param options `seed`: 16 bytes. `params`: given to the game's `params`.
 * @throws {TypeError} parameters for a game that has none; besides whatever the game's `params` throws
 * @throws {RangeError} the seed has not 16 bytes
 *
 * @example
 * ```ts
 * import { createSimulation, defineGame } from "gatepass/game";
 * const game = defineGame({
 *   id: "wait",
 *   version: 1,
 *   hz: 10,
 *   maxTicks: 2,
 *   input: { bits: 1, kind: "edge" },
 *   init: () => ({ ticks: 0 }),
 *   step(state) {
 *     state.ticks += 1;
 *   },
 *   score: (state) => state.ticks,
 *   hash: (state, hasher) => hasher.int(state.ticks),
 * });
 * const run = createSimulation(game, { seed: new Uint8Array(16) });
 * while (!run.done) run.step();
 * console.assert(run.score() === 2);
 * ```
 */
export function createSimulation<S, P>(game: Game<S, P>, options: { seed: Uint8Array; params?: unknown }): Simulation<S> {
  assertOptions("createSimulation", options, { seed: any, params: any });
  const masks = 1 << game.input.bits;
  let rng = createRng(options.seed);
  const state = game.init({ params: game.params(options.params), rng });
  let tick = 0;
  let done = game.done(state);
  return {
    state,
    get tick() {
      return tick;
    },
    get done() {
      return done;
    },
    step(input = 0) {
      if (done) throw new RangeError(`Cannot step: the run has ended at tick ${tick}`);
      if (!Number.isInteger(input) || input < 0 || input >= masks) {
        throw new RangeError(`Invalid "input": expected a mask from 0 to ${masks - 1}, got ${input}`);
      }
      game.step(state, input, rng, tick);
      tick += 1;
      done = tick >= game.maxTicks || game.done(state);
    },
    reseed(seed) {
      rng = createRng(seed);
    },
    score() {
      const score = game.score(state);
      if (!Number.isSafeInteger(score))
        throw new GatepassError("ERR_GAME_INVALID", `Cannot score: expected a safe integer, got ${String(score)}`);
      return score + 0; // -0 is no score that the wire accepts
    },
    hash() {
      const hasher = createHasher();
      game.hash(state, hasher);
      return hasher.value();
    },
  };
}

/**
 * Runs a game over one mask per tick, until it ends or the inputs do.
 *
 * @param options `seed`: 16 bytes. `inputs`: masks, the first for tick 0; may be endless. `params`: given to the game's `params`.
 * @throws as {@link createSimulation} and its `step` and `score`
 */
export function simulate<S, P>(
  game: Game<S, P>,
  options: { seed: Uint8Array; params?: unknown; inputs: Iterable<number> },
): SimulationResult<S> {
  assertOptions("simulate", options, { seed: any, params: any, inputs: methods(Symbol.iterator) }, "", "inputs");
  const { inputs, ...setup } = options;
  const run = createSimulation(game, setup);
  for (const input of inputs) {
    if (run.done) break;
    run.step(input);
  }
  return { state: run.state, ticks: run.tick, done: run.done, score: run.score(), hash: run.hash() };
}
