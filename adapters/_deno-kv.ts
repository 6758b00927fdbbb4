import { GatepassError } from "../src/errors.ts";
import { GRACE } from "../src/store/clocks.ts";
import { USES } from "../src/store/ledger.ts";
import { RING } from "../src/store/window.ts";
import { createCall } from "./_call.ts";

/** A key: its first part is the store's prefix. */
export type DenoKvKey = readonly string[];

/** What is under a key; null and null when there is nothing. */
export interface DenoKvEntry {
  value: unknown;
  versionstamp: string | null;
}

/** What we need of `Deno.AtomicOperation`. */
export interface DenoKvAtomic {
  check(...checks: { key: DenoKvKey; versionstamp: string | null }[]): DenoKvAtomic;
  set(key: DenoKvKey, value: unknown, options?: { expireIn?: number }): DenoKvAtomic;
  delete(key: DenoKvKey): DenoKvAtomic;
  commit(): Promise<{ ok: boolean }>;
}

/** What we need of a `Deno.Kv`. */
export interface DenoKvClient {
  getMany(keys: readonly DenoKvKey[], options?: { consistency?: "strong" }): Promise<readonly DenoKvEntry[]>;
  atomic(): DenoKvAtomic;
}

/**
 * All that is known of a key is one value: until when it is blocked, the record of a uses quota, and that of a rate quota.
 * So a batch needs one check for each of its quotas, and a block is decided upon in the same instant as the counter.
 */
export const BLOCK = 0;
/** Where the record of a uses quota starts. */
export const USES_BASE = 1;
/** Where the record of a rate quota starts. */
export const RATE_BASE: number = USES_BASE + USES;
const CELLS = RATE_BASE + RING;

/**
 * A key's value as it was read. A record in it lives while its first number is after now; one that has been dead for long is zeros.
 * Whoever writes into `cells` sets `changed`.
 */
export interface Entry {
  cells: Float64Array;
  changed: boolean;
}

/** Looks at the entries of the keys, in their order, and says what came of it. It may run several times, and only the last one counts. */
export type Work<T> = (entries: readonly Entry[], now: number) => T;

/** A Deno KV in which entries are read, decided upon and written in one step. */
export interface DenoKvDatabase {
  /** Runs `work` and commits what it changed, unless somebody else changed one of the keys meanwhile: then again, until the time is up. */
  write<T>(keys: readonly string[], work: Work<T>): Promise<T>;
  /** Runs `work` on what is there; writes nothing. */
  read<T>(keys: readonly string[], work: Work<T>): Promise<T>;
}

/** An entry, and which version of it was read. */
type Found = Entry & Pick<DenoKvEntry, "versionstamp">;

interface Job {
  keys: readonly string[];
  /** As `performance.now()`: from then on nobody waits for it. */
  deadline: number;
  /** Runs the work; what it gives is called once that is committed. */
  attempt(entries: readonly Entry[], now: number): () => void;
  fail(error: unknown): void;
}

interface Round {
  keys: Set<string>;
  jobs: Job[];
}

const CODE = "ERR_STORE_UNAVAILABLE";
/** Keys that one `getMany` takes. */
const MAX_READ = 10;
/** Keys of calls that are put together: a self-hosted denokv takes no more checks in a commit. A single call may have more. */
const MAX_ROUND = 10;
/** Milliseconds, some 300 years: beyond what Deno can add to an instant it refuses the whole commit. */
const MAX_EXPIRY = 1e13;

/**
 * Calls that share a key run one after another, those that have to wait together in one commit: each on its own would read and commit for itself,
 * all but one in vain, and over a network the last of 64 callers on a hot key would wait for a hundred round trips. Other calls run side by side.
 *
 * @throws {RangeError} `timeoutMs` is not an integer from 1 to 60000
 */
export function openDenoKv(kv: DenoKvClient, options: { prefix: string; timeoutMs: number; clock: () => number }): DenoKvDatabase {
  const { prefix, timeoutMs, clock } = options;
  const call = createCall(CODE, timeoutMs);
  /** How many calls want a key: those under way, and those that wait. */
  const wanted = new Map<string, number>();
  const flying = new Set<string>();
  let waiting: Job[] = [];

  /**
   * More keys than one `getMany` takes are read in several, which need not be of one instant. What is charged on their strength is right all the
   * same, since the commit checks the versions of all of them; a refusal rests on one key alone.
   */
  async function load(keys: readonly string[]): Promise<(now: number) => Map<string, Found>> {
    const parts: Promise<readonly DenoKvEntry[]>[] = [];
    for (let i = 0; i < keys.length; i += MAX_READ) {
      const some = keys.slice(i, i + MAX_READ).map((key) => [prefix, key]);
      parts.push(kv.getMany(some, { consistency: "strong" }));
    }
    const found = (await Promise.all(parts)).flat();
    return (now) => new Map(keys.map((key, i) => [key, entryOf(found[i], now)]));
  }

  async function commit(entries: ReadonlyMap<string, Found>, now: number): Promise<boolean> {
    const changed = [...entries].filter(([, entry]) => entry.changed);
    if (changed.length === 0) return true;
    let atomic = kv.atomic().check(...[...entries].map(([key, { versionstamp }]) => ({ key: [prefix, key], versionstamp })));
    for (const [key, { cells }] of changed) {
      // To a process whose clock is behind, uses and blocks live on.
      const last = Math.max(cells[BLOCK] ?? 0, cells[USES_BASE] ?? 0);
      const life = Math.max(last > 0 ? last + GRACE : 0, cells[RATE_BASE] ?? 0) - now;
      atomic =
        life > 0 ? atomic.set([prefix, key], cells, { expireIn: Math.ceil(Math.min(life, MAX_EXPIRY)) }) : atomic.delete([prefix, key]);
    }
    try {
      return (await atomic.commit()).ok;
    } catch (error) {
      if (isLocked(error)) return false;
      throw error;
    }
  }

  /** Ends when all its jobs are settled, or nobody waits for them any more. */
  async function fly({ keys, jobs }: Round): Promise<void> {
    for (const key of keys) flying.add(key);
    try {
      for (let attempt = 0, done = false; !done; attempt++) {
        const rest = Math.ceil(Math.max(...jobs.map(({ deadline }) => deadline)) - performance.now());
        if (rest < 1) break;
        // A backend that hangs must not keep the keys for good: what it does at last is checked like any other commit.
        done = await createCall(CODE, rest)(() => attemptOnce(jobs));
        if (!done) await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(100, 4 * 2 ** attempt)));
      }
    } catch (error) {
      for (const job of jobs) job.fail(error);
    }
    for (const key of keys) flying.delete(key);
    for (const job of jobs) forget(job);
    pump();
  }

  /** Whether nothing is left to do. What was rejected for its time meanwhile is not charged. */
  async function attemptOnce(all: readonly Job[]): Promise<boolean> {
    const read = await load([...new Set(all.filter(isLive).flatMap(({ keys }) => keys))]);
    const jobs = all.filter(isLive);
    const now = clock();
    const entries = read(now);
    const settle = jobs.map((job) => job.attempt(entriesOf(entries, job.keys), now));
    if (!(await commit(entries, now))) return false;
    for (const done of settle) done();
    return true;
  }

  /** Starts what can start. Nobody overtakes a call that waits for the same key. */
  function pump(): void {
    const held = new Set(flying);
    const rounds: Round[] = [];
    const roundOf = new Map<string, Round>();
    const still: Job[] = [];
    for (const job of waiting) {
      if (!isLive(job)) {
        forget(job);
        continue;
      }
      const touched = new Set(job.keys.flatMap((key) => roundOf.get(key) ?? []));
      const round = [...touched][0] ?? { keys: new Set<string>(), jobs: [] };
      const more = job.keys.filter((key) => !round.keys.has(key)).length;
      const full = round.jobs.length > 0 && round.keys.size + more > MAX_ROUND;
      if (touched.size > 1 || full || job.keys.some((key) => held.has(key))) {
        for (const key of job.keys) held.add(key);
        still.push(job);
        continue;
      }
      if (round.jobs.length === 0) rounds.push(round);
      round.jobs.push(job);
      for (const key of job.keys) {
        round.keys.add(key);
        roundOf.set(key, round);
      }
    }
    waiting = still;
    for (const round of rounds) void fly(round);
  }

  function forget({ keys }: Job): void {
    for (const key of keys) {
      const others = (wanted.get(key) ?? 1) - 1;
      if (others === 0) wanted.delete(key);
      else wanted.set(key, others);
    }
  }

  return {
    write: (keys, work) =>
      call(
        () =>
          new Promise((resolve, reject) => {
            const job: Job = {
              keys,
              deadline: performance.now() + timeoutMs,
              attempt(entries, now) {
                const value = work(entries, now);
                return () => resolve(value);
              },
              fail: reject,
            };
            const free = keys.every((key) => !wanted.has(key));
            for (const key of keys) wanted.set(key, (wanted.get(key) ?? 0) + 1);
            if (free) void fly({ keys: new Set(keys), jobs: [job] });
            else waiting.push(job);
          }),
      ),
    read: (keys, work) =>
      call(async () => {
        const read = await load(keys);
        const now = clock();
        return work(entriesOf(read(now), keys), now);
      }),
  };
}

function isLive({ deadline }: Job): boolean {
  return performance.now() < deadline;
}

/** On a file, Deno tells a commit that lost its race for SQLite's lock to another process so, and not with `ok: false`. It wrote nothing. */
function isLocked(error: unknown): boolean {
  return error instanceof Error && error.message.includes("database is locked");
}

/** @throws {GatepassError} `ERR_STORE_UNAVAILABLE`: what is there was not written by us, and nothing can be decided on it */
function entryOf(found: DenoKvEntry | undefined, now: number): Found {
  if (found === undefined) throw new GatepassError(CODE, "Cannot read an entry: Deno KV gave less than was asked for");
  const { value, versionstamp } = found;
  if (versionstamp === null) return { versionstamp, cells: new Float64Array(CELLS), changed: false };
  if (!(value instanceof Float64Array) || value.length !== CELLS) {
    throw new GatepassError(CODE, "Cannot read an entry: it was not written by this store");
  }
  const cells = value.slice();
  if ((cells[BLOCK] ?? 0) + GRACE <= now) cells[BLOCK] = 0;
  if ((cells[USES_BASE] ?? 0) + GRACE <= now) cells.fill(0, USES_BASE, RATE_BASE);
  if ((cells[RATE_BASE] ?? 0) <= now) cells.fill(0, RATE_BASE);
  return { versionstamp, cells, changed: false };
}

function entriesOf(entries: ReadonlyMap<string, Entry>, keys: readonly string[]): Entry[] {
  return keys.flatMap((key) => entries.get(key) ?? []);
}
