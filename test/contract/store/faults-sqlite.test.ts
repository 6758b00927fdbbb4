import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";
import { createTurnstileEmulator, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { isGatepassError } from "../../../src/errors.ts";
import type { RateQuota, UsesQuota } from "../../../src/store/index.ts";
import { describeWith } from "../../helpers/backends.ts";
import { bearer, type TestGate, testGate } from "../../helpers/gate.ts";

const folder = mkdtempSync(join(tmpdir(), "gatepass-faults-"));
const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
const children: ChildProcess[] = [];
const open: DatabaseSync[] = [];
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  for (const database of open) database.close();
  rmSync(folder, { recursive: true, force: true });
});

function connect(name: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, name));
  open.push(database);
  return database;
}

/** Another process takes the lock of `name`; gives what ends it as a crash does. */
async function lock(name: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, ["--no-warnings", path("sqlite/holder.ts"), join(folder, name)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  await new Promise((resolve, reject) => {
    child.stdout?.once("data", resolve);
    child.once("close", () => reject(new Error("The holder ended")));
  });
  return () =>
    new Promise((resolve) => {
      child.once("close", () => resolve());
      child.kill("SIGKILL");
    });
}

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "resolved",
    (error: unknown) => (isGatepassError(error) ? error.code : String(error)),
  );

describe("SQLite locked by another process", () => {
  it("rejects in time without stopping this one, charges nothing, and goes on when the other is killed", async () => {
    const database = connect("locked.db");
    const store = sqliteStore(database, { timeoutMs: 400 });
    const board = sqliteBoard(database, { timeoutMs: 400 });
    const quota: UsesQuota = { key: "k", limit: 100, expiresAt: Date.now() + 600_000 };
    const { at } = await store.spend([quota]);
    const entry = { board: "main", player: "p", score: 1, at: 1, submission: "s", level: "claimed", flags: [], name: "Wren" } as const;
    const rules = { periods: ["all"], order: "desc", operator: "best" } as const;

    const release = await lock("locked.db");
    const start = performance.now();
    let [last, longest] = [start, 0];
    const ticker = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    const codes = await Promise.all([
      ...Array.from({ length: 64 }, () => codeOf(store.spend([quota]))),
      codeOf(store.block("k", quota.expiresAt)),
      codeOf(store.refund([quota], at)),
      codeOf(board.submit(entry, rules)),
    ]);
    const took = performance.now() - start;
    clearInterval(ticker);
    expect(new Set(codes.slice(0, -1))).toEqual(new Set(["ERR_STORE_UNAVAILABLE"]));
    expect(codes.at(-1)).toBe("ERR_BOARD_UNAVAILABLE");
    // A busy machine is late for a moment; without a queue, 64 callers would stop this process for 25 ms each.
    expect(took).toBeLessThan(400 + 1200);
    expect(longest).toBeLessThan(800);
    // What only reads needs no lock.
    expect((await store.spend([{ ...quota, cost: 0 }])).states[0]?.remaining).toBe(99);

    const waiting = store.spend([quota]);
    await release();
    expect((await waiting).ok).toBe(true);
    expect((await store.spend([{ ...quota, cost: 0 }])).states[0]).toEqual({ remaining: 98, resetAt: quota.expiresAt });
    expect((await board.submit(entry, rules)).status).toBe("stored");
  });

  it("a gate refuses meanwhile, and what it refused may be tried again", async () => {
    const { session, write, events } = gateAt(0, "gate.db");
    const token = await session();
    const release = await lock("gate.db");
    const answer = await write(token);
    expect([answer.status, await answer.json()]).toMatchObject([503, { error: "UNAVAILABLE" }]);
    expect(events.map(({ type }) => type)).toContain("store_unavailable");
    await release();
    expect((await write(token)).status).toBe(201);
  });
});

/** How a process gets a disk of 256 KiB that is gone with it: a file system of its own, or a limit that the kernel puts on its files. */
const WAYS: Record<"tmpfs" | "limit", (disk: string) => readonly [file: string, ...args: string[]]> = {
  tmpfs: (disk) => ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m gatepass "$0" && exec "$@"', disk],
  limit: () => ["prlimit", "--fsize=262144:unlimited"],
};
const way = (["tmpfs", "limit"] as const).find((kind) => {
  const [file, ...args] = WAYS[kind](folder);
  return spawnSync(file, [...args, "true"]).status === 0;
});

describeWith("a small disk", way !== undefined)("SQLite on a disk that is full", () => {
  it.skipIf(way === undefined)(
    "rejects typed, forgets nobody who was told ok, and goes on when there is room",
    { timeout: 240_000 },
    async () => {
      const disk = join(folder, "disk");
      mkdirSync(disk);
      const [file, ...args] = WAYS[way ?? "limit"](disk);
      const script = [process.execPath, "--no-warnings", path("sqlite/full-disk.ts"), disk, way ?? ""];
      const { stdout } = await promisify(execFile)(file, [...args, ...script]);
      const report: Record<string, unknown> & { filledAt: number; rejectedWhileFull: number; slowest: number } = JSON.parse(stdout);
      expect(report).toMatchObject({
        codes: ["ERR_STORE_UNAVAILABLE"],
        again: true,
        forgotten: 0,
        integrity: { integrity_check: "ok" },
      });
      expect(report["others"]).toEqual(["ERR_STORE_UNAVAILABLE", "ERR_BOARD_UNAVAILABLE"]);
      expect(report["rows"]).toEqual([3, 1]);
      expect([report.filledAt > 5, report.rejectedWhileFull > 20]).toEqual([true, true]);
      expect(report.slowest).toBeLessThan(2500);
    },
  );
});

describe("clocks", () => {
  const HOUR = 3_600_000;

  it("a clock that jumps back and forth forgets no use, grants one window a jump at most, and is itself again after", async () => {
    let state = 7;
    const random = (below: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >>> 8) % below;
    };
    for (let run = 0; run < 20; run++) {
      let time = 1_750_000_000_000;
      const start = time;
      const database = new DatabaseSync(":memory:");
      open.push(database);
      const store = sqliteStore(database, { clock: () => time });
      const once: UsesQuota = { key: "u", limit: 3, expiresAt: start + 24 * HOUR };
      const rate: RateQuota = { key: "r", limit: 5, window: 60 };
      const admitted = { uses: 0, rates: 0 };
      let forward = 0;
      for (let step = 0; step < 60; step++) {
        if (random(4) === 0) {
          const jump = (random(2) === 0 ? 1 : -1) * random(2 * HOUR);
          if (jump > 60_000) forward += 1;
          // Never beyond what is spent: that is the one thing a jump can make a store forget.
          time = Math.min(start + 20 * HOUR, time + jump);
        }
        if ((await store.spend([once])).ok) admitted.uses += 1;
        if ((await store.spend([rate])).ok) admitted.rates += 1;
      }
      expect([run, admitted.uses]).toEqual([run, 3]);
      expect(admitted.rates).toBeLessThanOrEqual(rate.limit * (forward + 1));
      const { ok, retryAfter } = await store.spend([{ ...rate, cost: 5 }]);
      time += retryAfter * 1000;
      if (!ok) expect([run, (await store.spend([{ ...rate, cost: 5 }])).ok]).toEqual([run, true]);
    }
  });

  const warnings = ({ events }: SkewedGate): unknown[] =>
    events.flatMap(({ type, reason }) => (type === "config_warning" && reason === "clock_skew" ? [reason] : []));

  it("what one process spends, another one whose clock is an hour ahead does not forget", async () => {
    const now = Date.UTC(2026, 10, 20, 12);
    const [behind, ahead] = [0, HOUR].map((off) => sqliteStore(connect("ahead.db"), { clock: () => now + off, timeoutMs: 200 }));
    const token = { key: "token", limit: 1, expiresAt: now + 300_000 };
    expect((await behind?.spend([token]))?.ok).toBe(true);
    // More writes than a lazy sweep takes away at once.
    for (let i = 0; i < 20; i++) await ahead?.spend([{ key: `other${i}`, limit: 1, expiresAt: now + 2 * HOUR }]);
    expect((await behind?.spend([token]))?.ok).toBe(false);
    expect((await ahead?.spend([token]))?.ok).toBe(false);
  });

  it("two gates an hour apart on one file: neither takes the other's tokens, each takes its own", async () => {
    const [late, early] = [gateAt(0, "apart.db"), gateAt(HOUR, "apart.db")];
    const [one, two] = [await late.session(), await early.session()];
    expect((await early.write(one)).status).toBe(401);
    expect((await late.write(two)).status).toBe(401);
    expect((await late.write(one)).status).toBe(201);
    expect((await early.write(two)).status).toBe(201);
  });

  it("a gate an hour off its store says so, once, and counts as exactly as any; one that is 4 seconds off says nothing", async () => {
    const [off, near, even] = [gateAt(HOUR, "off.db", 0), gateAt(4000, "near.db", 0), gateAt(0, "even.db")];
    const counts: number[] = [];
    for (const gate of [off, near, even]) {
      const token = await gate.session();
      const answers = await Promise.all(Array.from({ length: 25 }, () => gate.write(token)));
      counts.push(answers.filter(({ status }) => status === 201).length);
    }
    expect(counts).toEqual([15, 15, 15]);
    expect([off, near, even].map(warnings)).toEqual([["clock_skew"], [], []]);
  });
});

type SkewedGate = Pick<TestGate, "session" | "events"> & { write(token: string): Promise<Response> };

/** A gate over the file whose clock is off by so much; its store's too, unless `storeOff` says otherwise. */
function gateAt(off: number, name: string, storeOff = off): SkewedGate {
  const begin = Date.UTC(2026, 10, 20, 12);
  const clock = (): number => begin + off;
  const emulator = createTurnstileEmulator({ clock });
  const store = sqliteStore(connect(name), { clock: () => begin + storeOff, timeoutMs: 200 });
  const { send, events } = testGate({ store, clock, fetch: (input, init) => emulator.fetch(new Request(input, init)) });
  return {
    events,
    async session() {
      const turnstileToken = await emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" });
      const body: { sessionToken: string } = await (await send("POST", "/session", { turnstileToken })).json();
      return body.sessionToken;
    },
    write: (token) => send("POST", "/scores", { board: "main", score: 5, name: "Wren" }, bearer(token)),
  };
}
