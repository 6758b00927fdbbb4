import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisStore } from "../../../adapters/redis.ts";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import { createTurnstileEmulator, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import type { Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type Served, serve } from "../../helpers/serve.ts";
import { challengeFor, gateOn, type Verification, type Verified, verified } from "./gate.ts";

const SCRIPT = fileURLToPath(new URL("verifier.ts", import.meta.url));
const REFUSED: Verified = { status: 403, error: "SECURITY_VERIFICATION_FAILED" };

const emulator = createTurnstileEmulator();
let provider: Served;
beforeAll(async () => {
  provider = await serve((request) => emulator.fetch(request));
});
afterAll(() => provider.close());
const siteverify = (): string => `${provider.url}/turnstile/v0/siteverify`;

/** Challenges of devices of their own, each solved twice. */
async function solvedTwice(store: Store, count: number): Promise<{ a: Verification; b: Verification }[]> {
  const gate = gateOn(store, siteverify());
  return Promise.all(
    Array.from({ length: count }, async () => {
      const device = `phone-${crypto.randomUUID()}`;
      const challenge = await challengeFor(gate, device);
      const { action, cdata } = challenge;
      const solve = (): string => emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, cdata });
      return { a: { challenge, token: solve(), device }, b: { challenge, token: solve(), device } };
    }),
  );
}

/** Of all answers about one challenge: one token's are the same clearance, and the other's are refused. */
function expectOneWinner(a: readonly Verified[], b: readonly Verified[]): "a" | "b" {
  const won = a[0]?.status === 200;
  const [winner, loser] = won ? [a, b] : [b, a];
  const clearance = winner[0]?.clearance;
  expect(winner).toEqual(winner.map(() => ({ status: 200, clearance })));
  expect([typeof clearance, loser]).toEqual(["string", loser.map(() => REFUSED)]);
  return won ? "a" : "b";
}

/** A process of its own, which verifies when it is told to. */
async function verifier(where: string, asked: readonly Verification[]): Promise<{ go(): Promise<Verified[]> }> {
  const child: ChildProcess = spawn(process.execPath, ["--no-warnings", SCRIPT, where, siteverify()], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  if (!child.stdin || !child.stdout) throw new Error("The process has no pipes");
  const { stdin } = child;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  stdin.write(`${JSON.stringify(asked)}\n`);
  expect((await lines.next()).value).toBe("ready");
  return {
    async go() {
      stdin.write("go\n");
      const answers: Verified[] = JSON.parse(String((await lines.next()).value));
      await once(child, "exit");
      return answers;
    },
  };
}

/** Four processes at once, two with the one token of each challenge and two with the other; then all of it again. */
async function race(store: Store, where: string): Promise<void> {
  const pairs = await solvedTwice(store, 30);
  const [a, b] = [pairs.map((pair) => pair.a), pairs.map((pair) => pair.b)];
  const processes = await Promise.all([a, b, a, b].map((asked) => verifier(where, asked)));
  const [a1 = [], b1 = [], a2 = [], b2 = []] = await Promise.all(processes.map(({ go }) => go()));
  const winners = pairs.map((_, i) => {
    const of = (answers: readonly Verified[]): Verified[] => answers.slice(i, i + 1);
    return expectOneWinner([...of(a1), ...of(a2)], [...of(b1), ...of(b2)]);
  });
  // Long after, in another process, it is as it was.
  const gate = gateOn(store, siteverify());
  for (const [i, { a, b }] of pairs.entries()) {
    expect([i, expectOneWinner([await verified(gate, a)], [await verified(gate, b)])]).toEqual([i, winners[i]]);
  }
}

describe("two tokens for one challenge, at once: the first wins, and the same one is recognised", () => {
  it("in one process, on a store in memory", async () => {
    const store = memoryStore();
    const gate = gateOn(store, siteverify());
    for (const { a, b } of await solvedTwice(store, 30)) {
      const [a1, b1, a2, b2] = await Promise.all([a, b, a, b].map((one) => verified(gate, one)));
      if (!a1 || !b1 || !a2 || !b2) throw new Error("An answer is missing");
      expectOneWinner([a1, a2], [b1, b2]);
    }
  });

  it("in four processes, on one file of SQLite", async () => {
    const folder = mkdtempSync(join(tmpdir(), "gatepass-tokens-"));
    const file = join(folder, "store.db");
    const database = new DatabaseSync(file);
    try {
      await race(sqliteStore(database, { timeoutMs: 60_000 }), file);
    } finally {
      database.close();
      rmSync(folder, { recursive: true });
    }
  });

  describeWith("redis-server", hasRedis())("on one Redis", () => {
    it("in four processes", async () => {
      const { startRedis } = await import("../../helpers/redis.ts");
      const server = await startRedis();
      const client = await createClient({ url: server.url }).connect();
      try {
        await race(redisStore(client, { timeoutMs: 60_000 }), server.url);
      } finally {
        client.destroy();
        await server.dispose();
      }
    });
  });
});
