import { GatepassError, isGatepassError } from "../src/errors.ts";
import { isUsesQuota, type Quota, type QuotaState, type SpendResult, type Store } from "../src/store/contract.ts";
import { shiftOf, stepOf } from "../src/store/window.ts";
import { readSpendResult } from "./_answer.ts";
import { BLOCK, REFUND, SPEND } from "./_lua.ts";

/**
 * The two commands that run a script. They reject with an error whose message contains Redis's error code as a word.
 */
export interface ScriptRunner {
  evalsha(sha: string, keys: string[], args: string[]): Promise<unknown>;
  eval(script: string, keys: string[], args: string[]): Promise<unknown>;
}

/** Runs a script, given as text; normally in one round trip. */
export type Evaluate = (script: string, keys: string[], args: string[]) => Promise<unknown>;

/** Options of {@link scriptedStore}. */
export interface ScriptedOptions {
  /** Beginning of all keys, without braces. */
  prefix: string;
  /** Milliseconds since the epoch, instead of the server's time. */
  clock?: (() => number) | undefined;
  /**
   * Milliseconds that a caller waits. A later call is not charged, if the server's time is known from an earlier
   * answer. Default: unlimited.
   */
  timeoutMs?: number | undefined;
}

/** The answer of a script without a result. */
const DONE = 1;
const WHYS = [undefined, "full", "blocked", "expired"] as const;

/**
 * Runs scripts by their hash. If the server does not know the script (after its start, a SCRIPT FLUSH or a failover),
 * it is sent as text, which also loads it. A script that is not known has not run, so the second command cannot charge
 * twice.
 */
export function createEvaluate(runner: ScriptRunner): Evaluate {
  const hashes = new Map<string, string>();
  return async (script, keys, args) => {
    const known = hashes.get(script);
    const hash = known ?? (await sha1(script));
    if (known === undefined) hashes.set(script, hash);
    try {
      return await runner.evalsha(hash, keys, args);
    } catch (error) {
      if (!hasCode(error, "NOSCRIPT")) throw error;
    }
    return runner.eval(script, keys, args);
  };
}

/**
 * The store's methods over one Redis, or one slot of a cluster, with any way to send commands:
 *
 *     const store = scriptedStore(createEvaluate(runner), { prefix: "gp:" });
 *     const call = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);
 *     spend: async (quotas) => { assertQuotas(quotas); return call(() => store.spend(quotas)); }
 *
 * It does not check quotas and sets no timer: the adapter does both. It rejects with the runner's error, with
 * `ERR_STORE_FULL` where Redis has no memory left, and with a TypeError where the answer is unreadable.
 */
export function scriptedStore(
  evaluate: Evaluate,
  { prefix, clock, timeoutMs = Number.POSITIVE_INFINITY }: ScriptedOptions,
): Pick<Store, "spend" | "refund" | "block"> {
  /** Milliseconds by which the server's clock is at least ahead of `performance.now()`. NaN: unknown. */
  let ahead = Number.NaN;
  let serial: number | undefined;

  /**
   * The script's answer without the number of the call. That number is checked first: an answer to another call is
   * refused.
   */
  async function run(script: string, names: readonly string[], args: readonly string[], now: number | undefined): Promise<number[]> {
    const deadline = performance.now() + timeoutMs;
    const keys = names.map((key) => redisKey(prefix, key));
    for (;;) {
      // Begin at a random number, since several stores may share a connection.
      const own = (serial ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) + 1;
      serial = own;
      // A little earlier: the answer has a way to go, and timers may be early.
      const last = Math.floor(deadline - timeoutMs / 50 + ahead);
      const all = [...args, Number.isFinite(last) ? String(last) : "", String(own)];
      if (now !== undefined) all.push(String(now));
      let answer: unknown;
      try {
        answer = await evaluate(script, keys, all);
      } catch (error) {
        if (!hasCode(error, "OOM")) throw error;
        throw new GatepassError("ERR_STORE_FULL", "Cannot write: Redis has no memory left", { cause: error });
      }
      const arrived = performance.now();
      if (!Array.isArray(answer)) throw garbage();
      const numbers = answer.map(toNumber);
      const echo = numbers.shift();
      const told = numbers[0];
      if (echo !== own || told === undefined) throw garbage();
      const late = told < 0;
      if (told !== DONE) {
        // An answer that travelled fast gives the largest difference, which is the most exact. Follow smaller ones
        // slowly, since clocks drift. If the server's clock jumped, a "too late" corrects the value at once.
        const least = Math.abs(told) - arrived;
        ahead = !late && least < ahead ? ahead + (least - ahead) / 16 : least;
      }
      if (!late) return numbers;
      if (arrived >= deadline) throw new Error(`No answer within ${timeoutMs} ms`);
    }
  }

  return {
    async spend(quotas) {
      const now = clock?.();
      const numbers = await run(
        SPEND,
        quotas.map(keyOf),
        argsOf(quotas, ({ limit }) => limit),
        now,
      );
      return readUsual(numbers, quotas, now) ?? readAnswer(numbers, quotas, now);
    },
    async refund(quotas, at) {
      expectDone(
        await run(
          REFUND,
          quotas.map(keyOf),
          argsOf(quotas, () => at),
          clock?.(),
        ),
      );
    },
    async block(key, expiresAt) {
      expectDone(await run(BLOCK, [key], [String(expiresAt), "", "", ""], clock?.()));
    },
  };
}

/**
 * The Redis key of a store's key. All keys of a partition have the same hash tag, so they are in one slot. Injective:
 * the first `|` ends the partition.
 *
 * Redis ignores an empty hash tag, which would spread the partition over all slots. So `~` is added to a partition that
 * is empty or begins with `}` or `~`; no key of gatepass does.
 */
export function redisKey(prefix: string, key: string): string {
  const end = key.indexOf("|");
  const partition = end < 0 ? key : key.slice(0, end);
  const apart = partition === "" || partition.startsWith("}") || partition.startsWith("~") ? "~" : "";
  return `${prefix}{${apart}${partition}}${end < 0 ? "" : key.slice(end)}`;
}

/** Whether an error is an answer of Redis with this code. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && !isGatepassError(error) && new RegExp(`\\b${code}\\b`).test(error.message);
}

/** Four arguments for each quota: `first`, its cost, and its expiry or window. */
function argsOf(quotas: readonly Quota[], first: (quota: Quota) => number): string[] {
  const args: string[] = [];
  for (const quota of quotas) {
    args.push(String(first(quota)), String(quota.cost ?? 1));
    if (isUsesQuota(quota)) args.push(String(quota.expiresAt), "");
    else args.push(String(stepOf(quota.window) * 11), String(shiftOf(quota.key, quota.window)));
  }
  return args;
}

/**
 * Reads the short answer (all quotas charged, none would refuse): the time and the states. Undefined: it is a long one.
 */
function readUsual(numbers: readonly number[], quotas: readonly Quota[], now?: number): SpendResult | undefined {
  if (numbers.length !== 1 + 2 * quotas.length) return undefined;
  for (const number of numbers) if (!Number.isSafeInteger(number)) throw garbage();
  const states = quotas.map((_, i): QuotaState => {
    const [remaining = -1, resetAt = 0] = [numbers[1 + 2 * i], numbers[2 + 2 * i]];
    if (remaining < 0) throw garbage();
    return { remaining, resetAt };
  });
  return { ok: true, at: now ?? numbers[0] ?? 0, refused: null, retryAfter: 0, states };
}

/**
 * Reads the long answer. It may come from a proxy, another version or another script. An incomplete answer is refused,
 * so no garbage can mean `ok: true`.
 */
function readAnswer(numbers: readonly number[], quotas: readonly Quota[], now?: number): SpendResult {
  const [server = 0, refused = 0, wait = 0] = numbers;
  if (numbers.length !== 3 + 3 * quotas.length) throw garbage();
  const states = quotas.map((_, i) => {
    const [remaining, resetAt, why = 0] = numbers.slice(3 + 3 * i, 6 + 3 * i);
    return { remaining, resetAt, ...(why === 0 ? {} : { why: WHYS[why] ?? "?" }) };
  });
  const ok = refused === 0;
  const result = { ok, at: now ?? server, refused: ok ? null : refused - 1, retryAfter: ok ? 0 : Math.ceil(wait / 1000), states };
  return readSpendResult(
    result,
    quotas.map(({ cost = 1 }) => cost),
  );
}

/** A number of an answer, also where the client is set to give texts or bigints. */
function toNumber(value: unknown): number {
  // node-redis reads the largest safe integer as the next one.
  if (typeof value === "number") return value === 2 ** 53 ? Number.MAX_SAFE_INTEGER : value;
  if (typeof value === "bigint" || (typeof value === "string" && /^-?\d+$/.test(value))) return Number(value);
  throw garbage();
}

function expectDone([told, ...more]: readonly number[]): void {
  if (told !== DONE || more.length > 0) throw garbage();
}

function garbage(): TypeError {
  return new TypeError("Cannot read the answer of Redis");
}

function keyOf({ key }: Quota): string {
  return key;
}

async function sha1(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
