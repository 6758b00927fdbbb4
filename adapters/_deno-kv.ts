import { GatepassError } from "../src/errors.ts";
import { GRACE } from "../src/store/clocks.ts";
import { USES } from "../src/store/ledger.ts";
import { RING } from "../src/store/window.ts";
import { createCall } from "./_call.ts";

/** A key. Its first part is the store's prefix. */
export type DenoKvKey = readonly string[];

/** The entry of a key; both members are null if there is none. */
export interface DenoKvEntry {
  value: unknown;
  versionstamp: string | null;
}

/** The part of `Deno.AtomicOperation` that is used. */
export interface DenoKvAtomic {
  check(...checks: { key: DenoKvKey; versionstamp: string | null }[]): DenoKvAtomic;
  set(key: DenoKvKey, value: unknown, options?: { expireIn?: number }): DenoKvAtomic;
  delete(key: DenoKvKey): DenoKvAtomic;
  commit(): Promise<{ ok: boolean }>;
}

/** The part of a `Deno.Kv` that is used. */
export interface DenoKvClient {
  getMany(keys: readonly DenoKvKey[], options?: { consistency?: "strong" }): Promise<readonly DenoKvEntry[]>;
  atomic(): DenoKvAtomic;
}

/**
 * A key has one value with three parts: the end of a block, the record of a uses quota, and that of a rate quota. So a
 * commit needs one check for each quota, and reads a block and its counter at the same version. This is the position of
 * the block.
 */
export const BLOCK = 0;
/** Where the record of a uses quota starts. */
export const USES_BASE = 1;
/** Where the record of a rate quota starts. */
export const RATE_BASE: number = USES_BASE + USES;
const CELLS = RATE_BASE + RING;

/**
 * A key's value as it was read. A record in it counts while its first number is after now; one that expired long ago is
 * zeros. Code that writes into `cells` must set `changed`.
 */
export interface Entry {
  cells: Float64Array;
  changed: boolean;
}

/**
 * Decides by the entries of the keys, in their order, and returns the result. It may run several times; only the last
 * run counts.
 */
export type Work<T> = (entries: readonly Entry[], now: number) => T;

/** A Deno KV in which entries are read, decided upon and written in one atomic step. */
export interface DenoKvDatabase {
  /**
   * Runs `work` and commits its changes. If another call changed one of the keys meanwhile, it starts again, until
   * `timeoutMs`.
   */
  write<T>(keys: readonly string[], work: Work<T>): Promise<T>;
  /** Runs `work` on the entries, and writes nothing. */
  read<T>(keys: readonly string[], work: Work<T>): Promise<T>;
}

/** An entry and the version that was read. */
type Found = Entry & Pick<DenoKvEntry, "versionstamp">;

interface Job {
  keys: readonly string[];
  /** By `performance.now()`: from then on its caller no longer waits. */
  deadline: number;
  /** Runs the work. The returned function must be called after the commit. */
  attempt(entries: readonly Entry[], now: number): () => void;
  fail(error: unknown): void;
}

interface Round {
  keys: Set<string>;
  jobs: Job[];
}

const CODE = "ERR_STORE_UNAVAILABLE";
/** The most keys of one `getMany`. */
const MAX_READ = 10;
/**
 * The most keys of calls that are committed together: a self-hosted denokv accepts no more checks in a commit. A single
 * call may have more.
 */
const MAX_ROUND = 10;
/** Milliseconds, some 300 years. With a longer `expireIn` Deno refuses the whole commit. */
const MAX_EXPIRY = 1e13;

/**
 * Calls that share a key run one after another, and those that wait run together in one commit. Otherwise each would
 * read and commit by itself, and all commits but one would fail: over a network, the last of 64 callers on a hot key
 * would wait for a hundred round trips. Calls without a common key run in parallel.
 *
 * @throws {RangeError} `timeoutMs` is not an integer from 1 to 60000
 */
export function openDenoKv(kv: DenoKvClient, options: { prefix: string; timeoutMs: number; clock: () => number }): DenoKvDatabase {
  const { prefix, timeoutMs, clock } = options;
  const call = createCall(CODE, timeoutMs);
  /** How many calls use a key: running ones and waiting ones. */
  const wanted = new Map<string, number>();
  const flying = new Set<string>();
  let waiting: Job[] = [];

  /**
   * Reads the keys, with several `getMany` if there are too many for one. These may read at different instants. A
   * charge is correct all the same, since the commit checks the versions of all keys. A refusal depends on one key
   * only.
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
      // Keep uses and blocks longer, for processes whose clock is behind.
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

  /** Runs a round until all its jobs are settled, or no caller waits for them any more. */
  async function fly({ keys, jobs }: Round): Promise<void> {
    for (const key of keys) flying.add(key);
    try {
      for (let attempt = 0, done = false; !done; attempt++) {
        const rest = Math.ceil(Math.max(...jobs.map(({ deadline }) => deadline)) - performance.now());
        if (rest < 1) break;
        // A backend that hangs must not hold the keys for ever. A late commit is harmless: it checks versions like any
        // other.
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

  /** One attempt; true: the round is done. A job that timed out meanwhile is left out and not charged. */
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

  /** Starts all jobs that can start. No job overtakes an earlier one that waits for the same key. */
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

/**
 * On a file, Deno throws this error, instead of `ok: false`, if another process holds SQLite's lock. Nothing was
 * written.
 */
function isLocked(error: unknown): boolean {
  return error instanceof Error && error.message.includes("database is locked");
}

/**
 * @throws {GatepassError} `ERR_STORE_UNAVAILABLE`: the value was not written by this store, so nothing can be decided
 * by it
 */
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
