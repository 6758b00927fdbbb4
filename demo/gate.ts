/** The demo's one gate: the same on every runtime, with the store and the board that the runtime can offer. */
import { createGate, type Gate, type GateOptions, optionsFromEnv, type Store } from "gatepass";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY, type TurnstileEmulator } from "gatepass/emulator";
import { type ScoreBoard, scores } from "gatepass/scores";
import { BOARD } from "./board-name.ts";
import { MAX_SCORE } from "./game/rules.ts";

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
  const common = {
    store,
    features: [scores({ board, boards: { [BOARD]: { names: "typed", require: "commitment", min: 0, max: MAX_SCORE } } })],
  } satisfies Partial<GateOptions>;
  if (env["NODE_ENV"] === "production" || env["TURNSTILE_SECRET_KEY"]) {
    const { turnstile, ...options } = optionsFromEnv(env);
    const hostnames = String(env["PUBLIC_HOSTNAMES"] ?? "")
      .split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "");
    if (!turnstile.sitekey) throw new TypeError('Cannot start the demo: "TURNSTILE_SITE_KEY" is not set');
    const gate = createGate({ ...common, ...options, turnstile: { ...turnstile, allowedHostnames: hostnames } });
    return { gate, mode: "production", sitekey: turnstile.sitekey, scriptUrl: "", emulator: undefined };
  }
  const emulator = createTurnstileEmulator();
  const gate = createGate({
    ...common,
    secrets: crypto.getRandomValues(new Uint8Array(32)),
    turnstile: { secret: EMULATOR_SECRET, sitekey: EMULATOR_SITEKEY, allowedHostnames: LOOPBACK, allowTestKeys: true },
    fetch: emulator.fetch,
  });
  return { gate, mode: "development", sitekey: EMULATOR_SITEKEY, scriptUrl: "/turnstile/v0/api.js", emulator };
}

/** Whether a request came to this machine's own name: the emulator and its control answer to nobody else. */
export function isLoopback(url: URL): boolean {
  return LOOPBACK.includes(url.hostname);
}
