import { isGatepassError } from "../../src/errors.ts";
import type { Quota, Store, UsesQuota } from "../../src/store/contract.ts";
import { until } from "../helpers/redis.ts";

/** How a load is made. */
export interface LoadOptions {
  /** Beginning of its keys. */
  name: string;
  /** The timeout of the stores, in ms. */
  timeoutMs: number;
  /** Callers in all, default 32. */
  callers?: number;
  /** How many callers try each token, default 4. */
  together?: number;
  /** Milliseconds that a caller waits between two calls, default 0. */
  pauseMs?: number;
  /** What a spend charges besides its token, the same for all: tells what was charged in all. */
  shared?: (limit: number) => Quota;
}

/** Callers that spend one-use tokens without a pause, while something happens to their backend. */
export interface Load {
  /** How often a token was admitted. */
  readonly admitted: ReadonlyMap<string, number>;
  /** What rejected calls said: a code, or the text of an error that is not typed. */
  readonly failures: ReadonlyMap<string, number>;
  /** Calls that were not over when their time was. */
  readonly late: number;
  /** Waits for so many further admissions: that the same stores work, or work again. */
  admits(further: number): Promise<void>;
  /** Waits for so many further rejections. */
  rejects(further: number): Promise<void>;
  stop(): Promise<void>;
}

const MANY = 1_000_000_000;
const expiresAt = Date.now() + 3_600_000;

/** A token that can be spent once, as {@link startLoad} names them. */
function once(key: string): UsesQuota {
  return { key, limit: 1, expiresAt };
}

/** Starts callers over the stores, one after the other. */
export function startLoad(
  stores: readonly Store[],
  { name, timeoutMs, callers = 32, together = 4, pauseMs = 0, shared }: LoadOptions,
): Load {
  const admitted = new Map<string, number>();
  const failures = new Map<string, number>();
  const spent: string[] = [];
  let [late, total, rejected, running] = [0, 0, 0, true];

  async function spend(store: Store, quotas: readonly Quota[]): Promise<boolean> {
    const answer = inTime(store.spend(quotas), timeoutMs, () => void late++);
    try {
      return (await answer).ok;
    } catch (error) {
      const said = isGatepassError(error) ? error.code : String(error);
      failures.set(said, (failures.get(said) ?? 0) + 1);
      rejected += 1;
      await pause(5);
      return false;
    }
  }

  async function caller(number: number): Promise<void> {
    const store = stores[number % stores.length];
    if (store === undefined) throw new Error("No store");
    for (let round = 0; running; round++) {
      if (pauseMs > 0) await pause(pauseMs);
      // Now and then one that was admitted before, whatever has become of the server since.
      const old = round % 4 === 3 ? spent[(round * 7919 + number * 104_729) % Math.max(1, spent.length)] : undefined;
      const key = old ?? `${name}:${Math.floor(number / together)}:${round}`;
      if (!(await spend(store, shared ? [once(key), shared(MANY)] : [once(key)]))) continue;
      admitted.set(key, (admitted.get(key) ?? 0) + 1);
      spent.push(key);
      total += 1;
    }
  }

  const all = Promise.all(Array.from({ length: callers }, (_, number) => caller(number)));
  return {
    admitted,
    failures,
    get late() {
      return late;
    },
    admits(further) {
      const goal = total + further;
      return until(`${further} more are admitted`, () => total >= goal);
    },
    rejects(further) {
      const goal = rejected + further;
      return until(`${further} more are rejected`, () => rejected >= goal);
    },
    async stop() {
      running = false;
      await all;
    },
  };
}

/**
 * Calls `late` where a call that was begun just now is not over when its time is. It does not depend on how fast the machine is: the store's own timer is due
 * before ours, and after all timers that are due comes `setImmediate`.
 */
export function inTime<T>(answer: Promise<T>, timeoutMs: number, late: () => void): Promise<T> {
  let over = false;
  const timer = setTimeout(() => setImmediate(() => over || late()), timeoutMs + 5);
  return answer.finally(() => {
    over = true;
    clearTimeout(timer);
  });
}

/** What a backend holds of what a load was told. */
export interface LoadResult {
  /** Tokens that were admitted. */
  tokens: number;
  /** Those that were admitted more than once. */
  twice: number;
  /** Those that could be spent again: the backend has lost them. */
  forgotten: number;
  /** Calls that were not over when their time was. */
  late: number;
  /** Distinct codes of rejected calls, sorted; and texts of errors that were not typed. */
  said: string[];
  /** Of the shared quota: charged, but told nobody. Negative where more was told than charged. */
  unclaimed: number;
}

/** Compares what the callers were told with what the backend holds. */
export async function resultOf(load: Load, store: Store, shared?: (limit: number) => Quota): Promise<LoadResult> {
  const tokens = [...load.admitted.keys()];
  let [next, forgotten] = [0, 0];
  const reader = async (): Promise<void> => {
    for (let from = next; from < tokens.length; from = next) {
      next = from + 16;
      const { states } = await store.spend(tokens.slice(from, next).map((key) => ({ ...once(key), cost: 0 })));
      forgotten += states.filter(({ why }) => why !== "full").length;
    }
  };
  await Promise.all(Array.from({ length: 8 }, reader));
  const told = [...load.admitted.values()].reduce((sum, times) => sum + times, 0);
  const held = shared ? MANY - ((await store.spend([{ ...shared(MANY), cost: 0 }])).states[0]?.remaining ?? Number.NaN) : told;
  return {
    tokens: tokens.length,
    twice: [...load.admitted.values()].filter((times) => times > 1).length,
    forgotten,
    late: load.late,
    said: [...load.failures.keys()].sort(),
    unclaimed: held - told,
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
