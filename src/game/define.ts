import { assertFunction, assertInteger, assertKeys, assertOneOf, assertString } from "../util/assertions.ts";
import type { Hasher } from "./hasher.ts";
import type { Rng } from "./rng.ts";

/** What a player can press. */
export interface GameInput {
  /** How many buttons there are, 1..8: a tick's input is a mask of as many bits. */
  bits: number;
  /** `edge`: a bit is set in the tick in which its button goes down. `level`: in every tick in which it is down. */
  kind: "edge" | "level";
}

/** What a run starts with. */
export interface GameSetup<P> {
  /** What `params` returned; undefined in a game without. */
  params: P;
  /** The run's randomness, the same object that the first segment's steps get. */
  rng: Rng;
}

/** The rules of a game: a state `S`, parameters `P`, and pure functions over them. */
export interface GameDefinition<S, P = undefined> {
  /** 1..32 characters of `a-z 0-9 _ -`, the first a letter or digit. */
  id: string;
  /** Integer from 1; raise it with every change of the rules. */
  version: number;
  /** Ticks a second, 1..240. */
  hz: number;
  /** Ticks after which a run ends, 1..18000. */
  maxTicks: number;
  /** Ticks of a segment, 1..18000. Default: five seconds' worth. */
  segmentTicks?: number;
  input: GameInput;
  /**
   * Checks and normalizes what changes the simulation (a difficulty, a level); throws what it likes on a value that it refuses.
   * Default: the game has no parameters, and any but undefined is a TypeError.
   */
  params?(raw: unknown): P;
  /** The state before tick 0. */
  init(setup: GameSetup<P>): S;
  /** Changes `state` by one tick. `input` is the mask, `tick` counts from 0. No time, no `Math.random`, no I/O. */
  step(state: S, input: number, rng: Rng, tick: number): void;
  /** Whether the run has ended before `maxTicks`. Default: never. */
  done?(state: S): boolean;
  /** The score so far: a safe integer. */
  score(state: S): number;
  /** Feeds every field that matters to `hasher`, always in the same order. */
  hash(state: S, hasher: Hasher): void;
}

/** A checked definition with its defaults, frozen. */
export interface Game<S, P = undefined> extends Readonly<GameDefinition<S, P>> {
  readonly input: Readonly<GameInput>;
  readonly segmentTicks: number;
  params(raw: unknown): P;
  done(state: S): boolean;
}

const MEMBERS = "id version hz maxTicks segmentTicks input params init step done score hash".split(" ");
const MAX_TICKS = 18_000;

/**
 * Checks a definition and fills its defaults.
 *
 * @throws {TypeError} a member is missing, unknown or of the wrong type
 * @throws {RangeError} a number or the id is out of its bounds
 *
 * @example
 * ```ts
 * import { defineGame } from "gatepass/game";
 * const game = defineGame({
 *   id: "coin",
 *   version: 1,
 *   hz: 30,
 *   maxTicks: 300,
 *   input: { bits: 1, kind: "level" },
 *   init: () => ({ held: 0 }),
 *   step(state, input) {
 *     state.held += input;
 *   },
 *   score: (state) => state.held,
 *   hash: (state, hasher) => hasher.int(state.held),
 * });
 * console.assert(game.segmentTicks === 150);
 * ```
 */
export function defineGame<S, P = undefined>(definition: GameDefinition<S, P>): Game<S, P> {
  assertKeys("defineGame", definition, MEMBERS);
  const { id, version, hz, maxTicks, segmentTicks = hz * 5, input, params, init, step, done, score, hash } = definition;
  assertString("id", id, 1, 32);
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(id))
    throw new RangeError(`Invalid "id": expected characters of a-z 0-9 _ -, got ${JSON.stringify(id)}`);
  assertInteger("version", version, 1);
  assertInteger("hz", hz, 1, 240);
  assertInteger("maxTicks", maxTicks, 1, MAX_TICKS);
  assertInteger("segmentTicks", segmentTicks, 1, MAX_TICKS);
  assertKeys("input", input, ["bits", "kind"]);
  assertInteger("input.bits", input.bits, 1, 8);
  assertOneOf("input.kind", input.kind, ["edge", "level"]);
  for (const [name, value] of Object.entries({ init, step, score, hash })) assertFunction(name, value);
  if (params !== undefined) assertFunction("params", params);
  if (done !== undefined) assertFunction("done", done);
  const checked = { ...definition, segmentTicks, input: Object.freeze({ ...input }), params: params ?? noParams<P>, done: done ?? never };
  return Object.freeze(checked);
}

function noParams<P>(raw: unknown): P {
  if (raw !== undefined) throw new TypeError("Cannot set parameters: the game has none");
  // P is undefined wherever a definition leaves `params` out and does not name P itself.
  return raw as P;
}

function never(): boolean {
  return false;
}
