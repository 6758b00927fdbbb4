import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import type { Store, UsesQuota } from "../../../src/store/contract.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";
import { until } from "../../helpers/redis.ts";
import { remoteStore } from "../../helpers/remote-store.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { type Load, resultOf, startLoad } from "../../storm/load.ts";

const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
const deno = path("../../../node_modules/.bin/deno");
const folder = mkdtempSync(join(tmpdir(), "gatepass-faults-"));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("PostgreSQL that cannot write", () => {
  async function start(): Promise<{ server: PostgresServer; pool: pg.Pool; store: Store; load(name: string): Load }> {
    const server = await startPostgres();
    const pool = new pg.Pool({ connectionString: server.url, max: 8 });
    pool.on("error", () => undefined);
    await migrate(pool);
    const store = postgresStore(pool, { timeoutMs: 20_000 });
    return { server, pool, store, load: (name) => startLoad([store], { name, timeoutMs: 20_000, callers: 16 }) };
  }

  it("out of space: typed, nothing admitted uncharged, nothing forgotten, and on it goes when there is room", {
    timeout: 240_000,
  }, async () => {
    const { server, pool, store, load } = await start();
    try {
      // The kernel lets no process of the server write beyond what the table has now, as a disk does that is full. A segment of the log is 16 MiB: so large it must be.
      await server.run(
        "INSERT INTO gatepass_store SELECT md5(i::text) || repeat('x', 200), 0, 8000000000000, 1, NULL FROM generate_series(1, 80000) i",
      );
      const [row] = await server.run(
        "SELECT pg_relation_size('gatepass_store') AS size, setting AS folder FROM pg_settings WHERE name = 'data_directory'",
      );
      const size = Number(row?.["size"]);
      expect(size).toBeGreaterThan(16 * 2 ** 20);
      const main = readFileSync(join(String(row?.["folder"]), "postmaster.pid"), "utf8").split("\n")[0] ?? "";
      // Even root may be forbidden to limit the processes of others; the server's own user may.
      const become = process.getuid?.() === 0 ? ["--reuid", "postgres", "--regid", "postgres", "--init-groups", "--"] : ["--"];
      const limit = (bytes: string): void => {
        // Those that are there, and those that come.
        const pids = [main, ...readFileSync(`/proc/${main}/task/${main}/children`, "utf8").split(" ").filter(Boolean)];
        for (const pid of pids) {
          const { status, stderr } = spawnSync("setpriv", [...become, "prlimit", "--pid", pid, `--fsize=${bytes}:unlimited`]);
          // Some process of the server may have ended meanwhile, the main one has not.
          if (pid === main) expect([status, String(stderr)]).toEqual([0, ""]);
        }
      };
      const running = load("full");
      await running.admits(100);
      limit(String(size + 65_536));
      await running.rejects(100);
      await expect(store.spend([{ key: `new${"x".repeat(300)}`, limit: 1, window: 60 }])).rejects.toMatchObject({ name: "GatepassError" });
      limit("unlimited");
      await running.admits(100);
      await running.stop();
      const result = await resultOf(running, store);
      expect(result).toMatchObject({ twice: 0, forgotten: 0, late: 0 });
      expect(result.said.filter((code) => !/^ERR_STORE_(UNAVAILABLE|FULL)$/.test(code))).toEqual([]);
    } finally {
      await pool.end().catch(() => undefined);
      await server.close();
    }
  });

  it("read-only, as a standby or a database that is being moved: nobody is admitted; then it goes on", { timeout: 240_000 }, async () => {
    const { server, pool, store, load } = await start();
    const admin = new pg.Client({ connectionString: server.url, options: "-c default_transaction_read_only=off" });
    try {
      await admin.connect();
      const running = load("readonly");
      await running.admits(100);
      await admin.query("ALTER SYSTEM SET default_transaction_read_only = on");
      await admin.query("SELECT pg_reload_conf()");
      await running.rejects(100);
      const quota: UsesQuota = { key: "k", limit: 1, expiresAt: Date.now() + 600_000 };
      await expect(store.spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      await admin.query("ALTER SYSTEM RESET default_transaction_read_only");
      await admin.query("SELECT pg_reload_conf()");
      await running.admits(100);
      await running.stop();
      expect(await resultOf(running, store)).toMatchObject({ twice: 0, forgotten: 0, late: 0, said: ["ERR_STORE_UNAVAILABLE"] });
      expect((await store.spend([quota])).ok).toBe(true);
    } finally {
      await admin.end().catch(() => undefined);
      await pool.end().catch(() => undefined);
      await server.close();
    }
  });

  it("every process of it stands still (SIGSTOP) under load: calls reject in time, and none is charged when it goes on", {
    timeout: 240_000,
  }, async () => {
    const { server, pool } = await start();
    try {
      const store = postgresStore(pool, { timeoutMs: 500 });
      const all: UsesQuota = { key: "all", limit: 1_000_000_000, expiresAt: Date.now() + 3_600_000 };
      const running = startLoad([store], { name: "still", timeoutMs: 500, callers: 16, together: 1, shared: () => all });
      await running.admits(100);
      server.pause();
      await running.rejects(64);
      server.resume();
      await running.admits(100);
      await running.stop();
      const result = await resultOf(running, postgresStore(pool, { timeoutMs: 20_000 }), () => all);
      expect(result).toMatchObject({ twice: 0, forgotten: 0, late: 0, said: ["ERR_STORE_UNAVAILABLE"] });
      // What was under way when it stopped may have been charged: one a caller.
      expect([result.unclaimed >= 0, result.unclaimed <= 2 * 16]).toEqual([true, true]);
    } finally {
      await pool.end().catch(() => undefined);
      await server.close();
    }
  });
});

describe("workerd ended and started again under load", () => {
  for (const [name, options] of Object.entries({
    "a D1 database": { entry: "test/storm/d1.worker.ts", d1: ["DB"] },
    "Durable Objects": { entry: "test/contract/store/durable-object/worker.ts", durableObjects: { REAL: "Real" } },
  })) {
    it(`${name}: what was admitted is not forgotten, nothing is admitted twice`, { timeout: 240_000 }, async () => {
      const worker = await startWorkerd(options);
      try {
        const { store } = remoteStore(worker.send("/?class=REAL&shards=4&prefix=faults&timeoutMs=20000"));
        const load = startLoad([store], { name: "restart", timeoutMs: 30_000, callers: 16 });
        for (let round = 0; round < 2; round++) {
          await load.admits(50);
          await worker.restart();
        }
        await load.admits(50);
        await load.stop();
        expect(await resultOf(load, store)).toMatchObject({ twice: 0, forgotten: 0, late: 0 });
      } finally {
        await worker.dispose();
      }
    });
  }
});

/** How a process gets a small disk that is gone with it: a file system of its own, or a limit that the kernel puts on its files. */
const WAYS: Record<"tmpfs" | "limit", (disk: string) => readonly [file: string, ...args: string[]]> = {
  tmpfs: (disk) => ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=4m gatepass "$0" && exec "$@"', disk],
  limit: () => ["env", "--ignore-signal=XFSZ"],
};
const way = (["tmpfs", "limit"] as const).find((kind) => {
  const [file, ...args] = WAYS[kind](folder);
  return spawnSync(file, [...args, "true"]).status === 0;
});
const DENO = ["run", "-A", "--no-check", "--unstable-kv", "--no-lock", "--quiet"];

describeWith("a small disk", way !== undefined)("Deno KV on a disk that is full", () => {
  it("rejects typed, forgets nobody who was told ok, and goes on when there is room", { timeout: 240_000 }, async () => {
    const disk = join(folder, "disk");
    mkdirSync(disk);
    const [file, ...args] = WAYS[way ?? "limit"](disk);
    const { stdout } = await promisify(execFile)(file, [...args, deno, ...DENO, path("faults/deno-kv-full-disk.ts"), disk, way ?? ""]);
    const report: { filledAt: number; rejected: number; slowest: number } = JSON.parse(stdout);
    expect(report).toMatchObject({ codes: ["ERR_STORE_UNAVAILABLE"], again: true, forgotten: 0 });
    expect([report.filledAt > 5, report.rejected > 10]).toEqual([true, true]);
  });
});

it("processes with one Deno KV file are killed (kill -9) one after the other: the others go on, no token is admitted twice", {
  timeout: 240_000,
}, async () => {
  const file = join(folder, "killed.db");
  const given: string[][] = [];
  const spend = (number: number): ChildProcess => {
    const child = spawn(deno, [...DENO, path("faults/deno-kv-spender.ts"), file, String(number)], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const lines: string[] = [];
    given.push(lines);
    let rest = "";
    child.stdout?.on("data", (chunk) => {
      const parts = `${rest}${chunk}`.split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
    });
    return child;
  };
  const total = (): number => given.reduce((sum, { length }) => sum + length, 0);
  const more = async (count: number): Promise<void> => {
    const goal = total() + count;
    await until(`${count} more are admitted`, () => total() >= goal);
  };
  const running = [0, 1, 2].map(spend);
  for (let i = 0; i < 3; i++) {
    await more(40);
    const child = running.shift();
    const gone = new Promise((resolve) => child?.once("close", resolve));
    child?.kill("SIGKILL");
    await gone;
    running.push(spend(3 + i));
  }
  await more(40);
  for (const child of running) child.kill("SIGKILL");
  const all = given.flat();
  expect(new Set(all).size).toBe(all.length);
  expect(all.length).toBeGreaterThan(150);
});
