/** The demo's one gate: the same on every runtime, with the store and the board that the runtime can offer. */
import { createGate, type FeatureFactory, type Gate, type GateOptions, optionsFromEnv, type Store } from "gatepass";
import { type ClearanceOptions, clearance } from "gatepass/clearance";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY, type TurnstileEmulator } from "gatepass/emulator";
import { type ScoreBoard, scores } from "gatepass/scores";
import { BOARD } from "./board-name.ts";
import { MAX_SCORE } from "./game/rules.ts";
import { isLoopback } from "./loopback.ts";
import { conditions, identify, type ProtectedRoutes, protectedRoutes } from "./protected.ts";
import { createLab } from "./protected-lab.ts";
import { demoLimits, demoPolicy } from "./protected-policy.ts";

/** Environment variables, or the env of a Worker. */
export type DemoEnv = Readonly<Record<string, unknown>>;

/** Where things are kept. */
export interface Storage {
  store: Store;
  board: ScoreBoard;
}

/** A gate and what its page has to know. */
export interface DemoGate {
  gate: Gate;
  /** The "protected API": the application's own routes, behind the same gate. */
  routes: ProtectedRoutes;
  mode: "development" | "production";
  sitekey: string;
  /** Where the page loads Turnstile from; empty for Cloudflare's own. */
  scriptUrl: string;
  /** The local Turnstile; in development only. */
  emulator: TurnstileEmulator | undefined;
}

const LOOPBACK = ["localhost", "127.0.0.1"];

/**
 * Development unless `NODE_ENV` is `production` or a Turnstile secret is set: then what production needs must all be there, or creation throws.
 * In development siteverify is the emulator in this process, and the signing secret lasts as long as it does.
 */
export function createDemoGate(env: DemoEnv, { store, board }: Storage): DemoGate {
  const leaderboard = scores({ board, boards: { [BOARD]: { names: "typed", require: "commitment", min: 0, max: MAX_SCORE } } });
  const guarding = (more: Partial<ClearanceOptions> = {}): FeatureFactory =>
    clearance({ policy: demoPolicy, limits: demoLimits, when: conditions, ...more });
  const common = { store, identify } satisfies Partial<GateOptions>;
  if (env["NODE_ENV"] === "production" || env["TURNSTILE_SECRET_KEY"]) {
    const { turnstile, ...options } = optionsFromEnv(env);
    const hostnames = String(env["PUBLIC_HOSTNAMES"] ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "");
    if (!turnstile.sitekey) throw new TypeError('Cannot start the demo: "TURNSTILE_SITE_KEY" is not set');
    const features = [leaderboard, guarding()];
    const gate = createGate({ ...common, ...options, turnstile: { ...turnstile, allowedHostnames: hostnames }, features });
    return { gate, routes: protectedRoutes(gate), mode: "production", sitekey: turnstile.sitekey, scriptUrl: "", emulator: undefined };
  }
  const emulator = createTurnstileEmulator();
  const development = {
    ...common,
    secrets: crypto.getRandomValues(new Uint8Array(32)),
    turnstile: { secret: EMULATOR_SECRET, sitekey: EMULATOR_SITEKEY, allowedHostnames: LOOPBACK, allowTestKeys: true },
    fetch: emulator.fetch,
  };
  const api = "/turnstile/v0/api.js";
  // The page for WebViews wants a whole address.
  const features = [leaderboard, guarding({ scriptUrl: `http://localhost:${env["PORT"] || 8787}${api}` })];
  const gate = createGate({ ...development, features });
  const lab = createLab(({ onEvent, ...more }) => createGate({ ...development, onEvent, features: [guarding(more)] }), isLoopback);
  const plain = protectedRoutes(gate);
  const routes: ProtectedRoutes = async (...given) => (await lab(...given)) ?? plain(...given);
  return { gate, routes, mode: "development", sitekey: EMULATOR_SITEKEY, scriptUrl: api, emulator };
}
