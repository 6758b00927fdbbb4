import { invalid } from "../util/assertions.ts";
import type { GateOptions, Mode } from "./types.ts";

/** What {@link optionsFromEnv} reads: the environment of a process, or the env of a Worker. */
export type EnvLike = object;

/** The result of {@link optionsFromEnv}: to be spread into the gate's options. */
export type EnvOptions = Pick<GateOptions, "secrets" | "session" | "mode" | "allowedOrigins"> & {
  turnstile: { secret: string[]; sitekey?: string };
};

/**
 * Options from environment variables. A variable that is missing or empty leaves the option to its default; an invalid
 * one throws.
 *
 * | variable | option |
 * |---|---|
 * | `SESSION_SIGNING_SECRET` | `secrets`: comma-separated, the first signs, all verify |
 * | `TURNSTILE_SECRET_KEY` | `turnstile.secret`: comma-separated |
 * | `TURNSTILE_SITE_KEY` | `turnstile.sitekey` |
 * | `TURNSTILE_ENFORCE` | `mode`: `true`, `1`, `enforce`; `false`, `0`, `monitor`; `off` |
 * | `SESSION_TTL_SEC` | `session.ttl`, seconds |
 * | `ALLOWED_ORIGINS` | `allowedOrigins`: comma-separated |
 *
 * `turnstile` lacks `allowedHostnames`, which belongs in the code: `turnstile: { ...options.turnstile,
 * allowedHostnames: ["game.example"] }`.
 *
 * @throws {TypeError} `env` is not an object, a variable is not text, or its value is invalid. A message names the
 * variable, never its value
 *
 * @example
 * ```ts
 * import { optionsFromEnv } from "gatepass";
 * const options = optionsFromEnv({ TURNSTILE_SECRET_KEY: "0x4AAAAAAA_your_secret", SESSION_TTL_SEC: "600", TURNSTILE_ENFORCE: "false" });
 * console.assert(options.mode === "monitor" && options.session?.ttl === 600);
 * ```
 */
export function optionsFromEnv(env: EnvLike): EnvOptions {
  if (typeof env !== "object" || Array.isArray(env)) throw invalid("env", "an environment", env);
  const secrets = list(env, "SESSION_SIGNING_SECRET");
  const sitekey = text(env, "TURNSTILE_SITE_KEY");
  const ttl = text(env, "SESSION_TTL_SEC");
  const enforce = text(env, "TURNSTILE_ENFORCE");
  const origins = list(env, "ALLOWED_ORIGINS");
  if (ttl !== undefined && !/^\d{1,6}$/.test(ttl)) throw new TypeError('Cannot read "SESSION_TTL_SEC": expected a whole number of seconds');
  return {
    ...(secrets.length > 0 && { secrets }),
    turnstile: { secret: list(env, "TURNSTILE_SECRET_KEY"), ...(sitekey !== undefined && { sitekey }) },
    ...(ttl !== undefined && { session: { ttl: Number(ttl) } }),
    ...(enforce !== undefined && { mode: modeOf(enforce) }),
    ...(origins.length > 0 && { allowedOrigins: origins }),
  };
}

/** A misspelt mode is refused: no default would be safe to guess. */
function modeOf(value: string): Mode {
  const modes: Record<string, Mode> = {
    true: "enforce",
    "1": "enforce",
    enforce: "enforce",
    false: "monitor",
    "0": "monitor",
    monitor: "monitor",
    off: "off",
  };
  const mode = Object.hasOwn(modes, value.toLowerCase()) ? modes[value.toLowerCase()] : undefined;
  if (!mode) throw new TypeError('Cannot read "TURNSTILE_ENFORCE": expected true, false, "monitor" or "off"');
  return mode;
}

function text(env: EnvLike, name: string): string | undefined {
  const value: unknown = Reflect.get(env, name);
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw new TypeError(`Cannot read "${name}": expected text`);
  return value;
}

function list(env: EnvLike, name: string): string[] {
  return (text(env, name) ?? "")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
