// Runs the published contract suite under Deno, on Deno KV, and prints `{ passed, failures }` as JSON.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type DenoKvAtomic, denoKvStore } from "../../../../adapters/deno-kv.ts";
import { GRACE } from "../../../../src/store/clocks.ts";
import { type StoreUnderTest, testStore } from "../../../../src/testing/index.ts";
import { plainKit } from "../../../helpers/plain-kit.ts";
import { type Kv, runtime } from "./runtime.ts";

const TIMEOUT = 500;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
const kit = plainKit();

testStore(() => underTest(":memory:", true), kit);
const memory = await kit.run("in memory");
testStore(() => underTest("file", true), kit);
const file = await kit.run("on a file", 4);
// What the clock above skips, here passes, and Deno deletes by its own.
testStore(() => underTest("file", false), kit);
const real = await kit.run("on a file, in real time", 4, /guarantee (5|8)|a key that died/);

console.log(
  JSON.stringify({ passed: memory.passed + file.passed + real.passed, failures: [memory, file, real].flatMap(({ failures }) => failures) }),
);

async function underTest(where: ":memory:" | "file", virtual: boolean): Promise<StoreUnderTest> {
  const folder = where === "file" ? mkdtempSync(join(tmpdir(), "gatepass-kv-")) : undefined;
  const path = folder === undefined ? where : join(folder, "kv.db");
  const begin = Date.now();
  let ahead = 0;
  let advanced = begin;
  const options = { timeoutMs: PATIENT, ...(virtual && { clock: () => begin + ahead }) };
  const open: Kv[] = [];
  const connect = async (): Promise<Kv> => {
    const kv = await runtime.openKv(path);
    open.push(kv);
    return punctual(kv);
  };
  const first = await connect();
  const onFile: Partial<StoreUnderTest> = {
    another: async () => denoKvStore(await connect(), options),
    impatient: async () => denoKvStore(await connect(), { ...options, timeoutMs: TIMEOUT }),
    /** What Deno has not deleted. It deletes when a file is opened, so it is opened anew, once all entries have really lived as long as the clock says. */
    async dump() {
      if (ahead > 0) await new Promise((resolve) => setTimeout(resolve, Math.max(0, advanced + ahead + 20 - Date.now())));
      return keysOf(await connect());
    },
    hang() {
      const other = new DatabaseSync(path);
      other.exec("BEGIN EXCLUSIVE");
      return () => {
        other.exec("ROLLBACK");
        other.close();
      };
    },
  };
  const inMemory: Partial<StoreUnderTest> = { another: () => denoKvStore(first, options) };
  return {
    store: denoKvStore(first, options),
    timeoutMs: TIMEOUT,
    ...(virtual && {
      advance(ms: number) {
        ahead += ms;
        advanced = Date.now();
      },
    }),
    ...(folder === undefined ? inMemory : onFile),
    dispose() {
      for (const kv of open) kv.close();
      if (folder !== undefined) rmSync(folder, { recursive: true });
    },
  };
}

/** A database that deletes what is over. Uses and blocks are given four hours more, for clocks that are wrong: no test waits so long (see faults.ts). */
function punctual(kv: Kv): Kv {
  const atomic = (inner: DenoKvAtomic): DenoKvAtomic => ({
    check: (...checks) => atomic(inner.check(...checks)),
    set: (key, value, { expireIn = 0 } = {}) => atomic(inner.set(key, value, { expireIn: expireIn > GRACE ? expireIn - GRACE : expireIn })),
    delete: (key) => atomic(inner.delete(key)),
    commit: () => inner.commit(),
  });
  return {
    getMany: (keys, options) => kv.getMany(keys, options),
    atomic: () => atomic(kv.atomic()),
    set: (key, value) => kv.set(key, value),
    list: (selector) => kv.list(selector),
    close: () => kv.close(),
  };
}

async function keysOf(kv: Kv): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of kv.list({ prefix: ["gatepass"] })) keys.push(String(key[1]));
  return keys;
}
