// What Deno KV does when it fails, is slow or is raced: runs under Deno and prints `{ passed, failures }` as JSON.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type DenoKvAtomic, type DenoKvClient, denoKvStore } from "../../../../adapters/deno-kv.ts";
import { isGatepassError } from "../../../../src/errors.ts";
import { GRACE } from "../../../../src/store/clocks.ts";
import type { RateQuota, SpendResult, UsesQuota } from "../../../../src/store/index.ts";
import { plainKit } from "../../../helpers/plain-kit.ts";
import { expectNoAdmissionByWrongShape } from "../../../helpers/wrong-shapes.ts";
import { type Kv, runtime } from "./runtime.ts";

const kit = plainKit();
const uses = (key: string, limit = 1, ms = 60_000): UsesQuota => ({ key, limit, expiresAt: Date.now() + ms });
const read = (quota: UsesQuota): UsesQuota => ({ ...quota, cost: 0 });

/** A test over a database of its own, in memory. */
function test(name: string, body: (kv: Kv) => Promise<void>): void {
  kit.it(name, async () => {
    const kv = await runtime.openKv(":memory:");
    try {
      await body(kv);
    } finally {
      kv.close();
    }
  });
}

test("in wrong shapes: what is used up, revoked or full is never admitted", (kv) =>
  expectNoAdmissionByWrongShape(({ through }, clock) =>
    denoKvStore({ getMany: async (keys, options) => through(await kv.getMany(keys, options)), atomic: () => kv.atomic() }, { clock }),
  ));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** `before` and `after` every read and every commit of a real database; what they throw, it throws. */
function watched(
  kv: Kv,
  hooks: {
    read?(keys: string[]): unknown;
    readDone?(keys: string[]): unknown;
    set?(expireIn: number): unknown;
    commit?(keys: string[]): unknown;
  },
): DenoKvClient {
  return {
    async getMany(keys, options) {
      const names = keys.map((key) => key[1] ?? "");
      await hooks.read?.(names);
      const found = await kv.getMany(keys, options);
      await hooks.readDone?.(names);
      return found;
    },
    atomic() {
      const inner = kv.atomic();
      const keys: string[] = [];
      const outer: DenoKvAtomic = {
        check: (...checks) => {
          keys.push(...checks.map(({ key }) => key[1] ?? ""));
          inner.check(...checks);
          return outer;
        },
        set: (key, value, options) => {
          hooks.set?.(options?.expireIn ?? Number.POSITIVE_INFINITY);
          inner.set(key, value, options);
          return outer;
        },
        delete: (key) => {
          inner.delete(key);
          return outer;
        },
        commit: async () => ((await hooks.commit?.(keys)) === false ? { ok: false } : inner.commit()),
      };
      return outer;
    },
  };
}

const counts = (all: readonly PromiseSettledResult<SpendResult>[]): [admitted: number, refused: number, rejected: string[]] => [
  all.filter((one) => one.status === "fulfilled" && one.value.ok).length,
  all.filter((one) => one.status === "fulfilled" && !one.value.ok).length,
  all.flatMap((one) => (one.status === "rejected" ? codeOf(one.reason) : [])),
];
const codeOf = (error: unknown): string => (isGatepassError(error) ? error.code : String(error));
const rejection = (promise: Promise<unknown>): Promise<string> => promise.then(() => "resolved", codeOf);

test("64 callers on one hot key share commits, so that none starves on a slow network", async (kv) => {
  let commits = 0;
  const slow = watched(kv, {
    read: () => pause(20),
    commit: () => {
      commits += 1;
      return pause(20);
    },
  });
  const store = denoKvStore(slow);
  const hot: RateQuota = { key: "hot", limit: 40, window: 60 };
  kit.expect(counts(await Promise.allSettled(Array.from({ length: 64 }, () => store.spend([hot]))))).toEqual([40, 24, []]);
  kit.expect(commits).toEqual(2);
  // Each with a key of its own besides: at most ten keys in a commit, for a self-hosted denokv.
  const all = Array.from({ length: 64 }, (_, i) => store.spend([uses(`own${i}`), { key: "shared", limit: 64, window: 60 }]));
  kit.expect(counts(await Promise.allSettled(all))).toEqual([64, 0, []]);
  kit.expect([commits, commits <= 2 + 9]).toEqual([commits, true]);
});

test("no commit has more than ten keys but that of a single call, and no read has", async (kv) => {
  const sizes: number[] = [];
  const note = (keys: string[]): void => void sizes.push(keys.length);
  const commits: number[] = [];
  const store = denoKvStore(watched(kv, { read: note, commit: (keys) => void commits.push(keys.length) }));
  const all = Array.from({ length: 40 }, (_, i) => store.spend([uses("shared", 40), uses(`a${i}`), uses(`b${i}`)]));
  kit.expect(counts(await Promise.allSettled(all))).toEqual([40, 0, []]);
  kit.expect([Math.max(...commits), commits.length]).toEqual([9, 11]);
  const sixteen = Array.from({ length: 16 }, (_, i) => uses(`k${i}`));
  kit.expect((await store.spend(sixteen)).ok).toEqual(true);
  kit.expect((await store.spend(sixteen)).ok).toEqual(false);
  kit.expect([Math.max(...sizes), sizes.slice(-4)]).toEqual([10, [10, 6, 10, 6]]);
});

test("a read of many keys is not of one instant, and admits nothing on that account", async (kv) => {
  const rival = denoKvStore(kv);
  const batch = Array.from({ length: 16 }, (_, i) => uses(`k${i}`));
  let raced = false;
  const store = denoKvStore(
    watched(kv, {
      // The first keys are read; before the others are, somebody else spends one of them.
      async read(keys) {
        if (!keys.includes("k15") || raced) return;
        raced = true;
        await pause(20);
        kit.expect((await rival.spend(batch.slice(0, 1))).ok).toEqual(true);
      },
    }),
  );
  const { ok, refused } = await store.spend(batch);
  kit.expect([raced, ok, refused]).toEqual([true, false, 0]);
  kit.expect((await store.spend(batch.map(read))).states.map(({ remaining }) => remaining)).toEqual([0, ...Array(15).fill(1)]);
});

test("what is over to a process whose clock is ahead is still there for one that is behind, and Deno is told to keep it", async (kv) => {
  const lives: number[] = [];
  const told = watched(kv, { set: (expireIn) => void lives.push(expireIn) });
  const HOUR = 3_600_000;
  const at = (hours: number): ReturnType<typeof denoKvStore> => denoKvStore(told, { clock: () => Date.now() + hours * HOUR });
  const [ahead, behind] = [at(2), at(-2)];
  // Nearly over by the clock that is ahead: the one that is behind takes it for four hours more.
  const once = uses("once", 1, 2 * HOUR + 1000);
  kit.expect((await ahead.spend([once])).ok).toEqual(true);
  kit.expect(lives.every((life) => life >= 4 * HOUR)).toEqual(true);
  await pause(1100);
  // Over by now, to the first; whatever it writes under the same key leaves the use alone.
  kit.expect((await ahead.spend([once])).states[0]?.why).toEqual("expired");
  await ahead.block("once", Date.now() + 2 * HOUR + 60_000);
  await ahead.block("once", 0);
  kit.expect((await behind.spend([once])).states[0]?.why).toEqual("full");
  // A block as well: what one revoked in time stays so for the other.
  await ahead.block("gone", Date.now() + 2 * HOUR + 1000);
  kit.expect((lives.at(-1) ?? 0) >= 4 * HOUR).toEqual(true);
  // Rates need no such patience: they would only lie there.
  await ahead.spend([{ key: "rate", limit: 1, window: 60 }]);
  kit.expect((lives.at(-1) ?? HOUR) < HOUR).toEqual(true);
  // And a key that is over anew begins anew.
  kit.expect((await ahead.spend([uses("once", 1, 3 * HOUR)])).ok).toEqual(true);
});

test("reads and refusals commit nothing", async (kv) => {
  let commits = 0;
  const store = denoKvStore(
    watched(kv, {
      commit() {
        commits += 1;
      },
    }),
  );
  await store.spend([uses("k")]);
  kit.expect((await store.spend([uses("k"), uses("other")])).ok).toEqual(false);
  await store.spend([read(uses("k")), read(uses("other"))]);
  await store.block("other", 0);
  await store.refund([uses("other")], Date.now());
  kit.expect(commits).toEqual(1);
});

test("a call that loses every race rejects in time, charges nothing, and keeps nobody waiting", async (kv) => {
  let lose = true;
  const store = denoKvStore(watched(kv, { commit: () => !lose }), { timeoutMs: 200 });
  const start = performance.now();
  kit
    .expect(counts(await Promise.allSettled(Array.from({ length: 8 }, () => store.spend([uses("k", 8)])))))
    .toEqual([0, 0, Array(8).fill("ERR_STORE_UNAVAILABLE")]);
  const took = performance.now() - start;
  kit.expect([took, took >= 190 && took < 700]).toEqual([took, true]);
  lose = false;
  kit.expect((await store.spend([read(uses("k", 8))])).states[0]?.remaining).toEqual(8);
  kit.expect((await store.spend([uses("k", 8)])).ok).toEqual(true);
});

test("what hangs hangs alone, and those who waited for it in vain are not charged afterwards", async (kv) => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const store = denoKvStore(watched(kv, { read: (keys) => (keys.includes("hung") ? gate : undefined) }), { timeoutMs: 200 });
  const hung = Array.from({ length: 5 }, () => store.spend([uses("hung", 9), uses("beside", 9)]));
  kit.expect((await store.spend([uses("free")])).ok).toEqual(true);
  kit.expect(counts(await Promise.allSettled(hung))).toEqual([0, 0, Array(5).fill("ERR_STORE_UNAVAILABLE")]);
  kit.expect((await store.spend([uses("beside", 9)])).ok).toEqual(true);
  release();
  await pause(50);
  const { states } = await store.spend([read(uses("hung", 9)), read(uses("beside", 9))]);
  kit.expect(states.map(({ remaining }) => remaining)).toEqual([9, 8]);
});

test("nobody overtakes a call that waits for the same key", async (kv) => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const store = denoKvStore(watched(kv, { read: (keys) => (keys.join() === "b" ? gate : pause(5)) }));
  const order: string[] = [];
  const spend = (...keys: string[]): Promise<unknown> => store.spend(keys.map((key) => uses(key, 9))).then(() => order.push(keys.join()));
  const all = ["a", "b", "a,b", "a"].map((keys) => spend(...keys.split(",")));
  await pause(50);
  kit.expect(order).toEqual(["a"]);
  release();
  await Promise.all(all);
  kit.expect(order).toEqual(["a", "b", "a,b", "a"]);
});

test("a commit that nobody waited for any more may still count, and never admits one too many", async (kv) => {
  let slow = true;
  const store = denoKvStore(watched(kv, { commit: () => (slow ? pause(300) : undefined) }), { timeoutMs: 100 });
  kit.expect(await rejection(store.spend([uses("k", 3)]))).toEqual("ERR_STORE_UNAVAILABLE");
  slow = false;
  const admitted = counts(await Promise.allSettled(Array.from({ length: 5 }, () => store.spend([uses("k", 3)]))));
  await pause(300);
  const left = (await store.spend([read(uses("k", 3))])).states[0]?.remaining ?? -1;
  kit.expect([admitted, left]).toEqual([[3, 2, []], 0]);
});

test("a database that is closed, or throws, is ERR_STORE_UNAVAILABLE, and what it says is the cause", async (kv) => {
  let broken = true;
  const fail = (): void => {
    if (broken) throw new TypeError("broken");
  };
  const store = denoKvStore(watched(kv, { commit: fail }));
  const error = await store.spend([uses("k")]).catch((reason: unknown) => reason);
  kit.expect([codeOf(error), error instanceof Error && error.cause instanceof TypeError]).toEqual(["ERR_STORE_UNAVAILABLE", true]);
  kit.expect(await rejection(store.block("k", Date.now() + 1000))).toEqual("ERR_STORE_UNAVAILABLE");
  broken = false;
  kit.expect((await store.spend([uses("k")])).ok).toEqual(true);
  const other = await runtime.openKv(":memory:");
  const closed = denoKvStore(other);
  other.close();
  for (const call of [
    closed.spend([uses("k")]),
    closed.spend([read(uses("k"))]),
    closed.refund([uses("k")], 0),
    closed.block("k", Date.now() + 9),
  ])
    kit.expect(await rejection(call)).toEqual("ERR_STORE_UNAVAILABLE");
});

test("a value that is not ours admits nothing and is not overwritten", async (kv) => {
  const store = denoKvStore(kv);
  for (const value of ["text", 0, null, [0, 0], new Float64Array(3), new Float32Array(16)]) {
    await kv.set(["gatepass", "theirs"], value);
    kit.expect(await rejection(store.spend([uses("theirs")]))).toEqual("ERR_STORE_UNAVAILABLE");
    kit.expect(await rejection(store.block("theirs", Date.now() + 1000))).toEqual("ERR_STORE_UNAVAILABLE");
    kit.expect((await kv.getMany([["gatepass", "theirs"]]))[0]?.value).toEqual(value);
  }
  kit.expect((await store.spend([uses("ours")])).ok).toEqual(true);
});

test("stores with different prefixes share nothing; options and keys are checked", async (kv) => {
  const [one, two] = [denoKvStore(kv), denoKvStore(kv, { prefix: "two" })];
  kit
    .expect([(await one.spend([uses("k")])).ok, (await two.spend([uses("k")])).ok, (await one.spend([uses("k")])).ok])
    .toEqual([true, true, false]);
  const wrong = (options: object): string => {
    try {
      denoKvStore(kv, options);
      return "fine";
    } catch (error) {
      return error instanceof Error ? error.name : "";
    }
  };
  const options = [
    { prefix: "" },
    { prefix: "é" },
    { prefix: "x".repeat(65) },
    { timeoutMs: 0 },
    { timeoutMs: 60_001 },
    { table: "x" },
    { clock: 1 },
  ];
  kit.expect(options.map(wrong)).toEqual([...Array(5).fill("RangeError"), "TypeError", "TypeError"]);
  const name = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => "",
      (error: Error) => error.name,
    );
  // The longest that is taken is taken, whatever it is made of.
  kit.expect((await one.spend([uses("\u0000".repeat(512)), uses("\uffff".repeat(512))])).ok).toEqual(true);
  for (const call of [one.spend([uses("x".repeat(513))]), one.refund([uses("x".repeat(513))], 0), one.block("x".repeat(513), 0)])
    kit.expect(await name(call)).toEqual("RangeError");
});

kit.it("Deno is told when an entry dies, and never to let it die before", async () => {
  const folder = mkdtempSync(join(tmpdir(), "gatepass-kv-"));
  const path = join(folder, "kv.db");
  const kv = await runtime.openKv(path);
  try {
    const store = denoKvStore(kv);
    const now = Date.now();
    const [used, gone] = [uses("u", 5), uses("gone")];
    const { states } = await store.spend([
      used,
      { key: "r", limit: 5, window: 60 },
      { ...used, key: "far", expiresAt: Number.MAX_SAFE_INTEGER },
    ]);
    // The later of two expiries, and a block that outlives its counter.
    await store.spend([
      { ...used, expiresAt: now + 1000 },
      { key: "longer", limit: 1, window: 1 },
    ]);
    await store.block("longer", now + 90_000);
    const { at } = await store.spend([gone]);
    await store.refund([gone], at);
    const rows = new DatabaseSync(path).prepare("SELECT expiration_ms AS dies FROM kv ORDER BY k").all();
    const [far = 0, ...others] = rows.map((row) => Number(row["dies"]));
    // Four hours more where another process's clock may be behind, but not for rates.
    const wanted = [now + 90_000 + GRACE, states[1]?.resetAt, used.expiresAt + GRACE];
    const off = others.map((dies, i) => dies - (wanted[i] ?? 0));
    kit.expect([off.length, off, off.every((ms) => ms >= 0 && ms < 500)]).toEqual([3, off, true]);
    kit.expect(far > now + 9e12).toEqual(true);
  } finally {
    kv.close();
    rmSync(folder, { recursive: true });
  }
});

console.log(JSON.stringify(await kit.run("faults")));
