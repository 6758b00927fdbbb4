/**
 * Games as pure modules: the same rules run in the browser while somebody plays and on the server to check the score.
 * Everything here is integer arithmetic, which every engine computes alike; `Math.sin` and its kin differ between engines.
 *
 * @example
 * ```ts
 * import { defineGame, simulate } from "gatepass/game";
 *
 * const clicker = defineGame({
 *   id: "clicker",
 *   version: 1,
 *   hz: 60,
 *   maxTicks: 600,
 *   input: { bits: 1, kind: "edge" },
 *   init: ({ rng }) => ({ clicks: 0, prize: 1 + rng.nextInt(6) }),
 *   step(state, input) {
 *     if (input === 1) state.clicks += state.prize;
 *   },
 *   score: (state) => state.clicks,
 *   hash(state, hasher) {
 *     hasher.int(state.clicks);
 *     hasher.int(state.prize);
 *   },
 * });
 *
 * const { score, ticks } = simulate(clicker, { seed: new Uint8Array(16), inputs: [1, 0, 1] });
 * console.assert(ticks === 3 && score % 2 === 0);
 * ```
 *
 * @module
 */
export { defineGame, type Game, type GameDefinition, type GameInput, type GameSetup } from "./define.ts";
export { createHasher, type Hasher, type StateHasher } from "./hasher.ts";
export { createRng, type Rng } from "./rng.ts";
export { createSimulation, type Simulation, type SimulationResult, simulate } from "./simulate.ts";
