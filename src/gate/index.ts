export { createGate } from "./create-gate.ts";
export { type EnvLike, type EnvOptions, optionsFromEnv } from "./env.ts";
export type * from "./types.ts";
