import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { migrate, postgresStore } from "../../../adapters/postgres.ts";
import type { Store, UsesQuota } from "../../../src/store/index.ts";
import { describeWith, freePort, postgresFolder } from "../../helpers/backends.ts";
import { startPostgres } from "../../helpers/postgres.ts";
import { type Clients, startClients } from "./postgres-under-test.ts";

const once = (key: string): UsesQuota => ({ key, limit: 1, expiresAt: Date.now() + 600_000 });

/** What a spend that must fail fails with, and when. */
async function failure(store: Store, key: string): Promise<{ code: unknown; took: number }> {
  const start = performance.now();
  const error: unknown = await store.spend([once(key)]).then(
    ({ ok }) => `ok: ${ok}`,
    (thrown: unknown) => thrown,
  );
  const code = error instanceof Error && "code" in error ? error.code : error;
  return { code, took: performance.now() - start };
}

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresStore, when the server fails", () => {
  let clients: Clients;
  let pool: pg.Pool;
  beforeAll(async () => {
    clients = await startClients();
    pool = clients.pool();
    await migrate(pool);
  });
  afterAll(() => clients.close());

  it("nobody listens, or the password is wrong: a typed error, in time", async () => {
    const locked = await startPostgres({ password: "right" });
    const port = await freePort();
    const made: [pg.Pool, postgres.Sql][] = [`postgres://gatepass@127.0.0.1:${port}/postgres`, locked.url.replace("right", "wrong")].map(
      (url) => [new pg.Pool({ connectionString: url }), postgres(url, { onnotice: () => undefined })],
    );
    try {
      const failures = await Promise.all(made.flat().map((client) => failure(postgresStore(client, { timeoutMs: 500 }), "k")));
      for (const { code, took } of failures) expect([code, took < 1000]).toEqual(["ERR_STORE_UNAVAILABLE", true]);
      const right = new pg.Pool({ connectionString: locked.url });
      expect(await migrate(right)).toHaveLength(1);
      expect((await postgresStore(right).spend([once("k")])).ok).toBe(true);
      await right.end();
    } finally {
      await Promise.allSettled(made.flatMap(([one, other]) => [one.end(), other.end({ timeout: 0 })]));
      await locked.close();
    }
  });

  it("whoever answers talks nonsense, or hangs up", async () => {
    for (const talk of [
      (socket: Socket): unknown => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n<html>"),
      (socket: Socket): unknown => socket.resetAndDestroy(),
      (): unknown => undefined,
    ]) {
      const [server, port] = await listen(talk);
      const url = `postgres://gatepass@127.0.0.1:${port}/postgres`;
      const one = new pg.Pool({ connectionString: url });
      one.on("error", () => undefined);
      try {
        const { code, took } = await failure(postgresStore(one, { timeoutMs: 500 }), "k");
        expect([code, took < 1000]).toEqual(["ERR_STORE_UNAVAILABLE", true]);
      } finally {
        server.close();
      }
    }
  });

  it("somebody holds the lock of the key: an error in time, and no charge after", async () => {
    const holder = await pool.connect();
    const store = postgresStore(clients.pool(), { timeoutMs: 500 });
    await store.spend([once("warm")]);
    await holder.query("BEGIN");
    await postgresStore(holder).spend([{ ...once("held"), limit: 2 }]);
    const failures = await Promise.all([failure(store, "held"), failure(store, "held")]);
    expect(failures.map(({ code, took }) => [code, took < 800])).toEqual([
      ["ERR_STORE_UNAVAILABLE", true],
      ["ERR_STORE_UNAVAILABLE", true],
    ]);
    // Nobody stands in line any more, with a connection in its hands.
    const { rows } = await pool.query("SELECT * FROM pg_locks WHERE NOT granted");
    expect(rows).toEqual([]);
    await holder.query("COMMIT");
    holder.release();
    // Both were told no: only the holder's unit is gone.
    expect((await store.spend([{ ...once("held"), limit: 2, cost: 0 }])).states[0]?.remaining).toBe(1);
  });

  it("every connection of the pool is busy: an error in time, and no charge when it is their turn", async () => {
    const small = clients.pool({ max: 1 });
    const store = postgresStore(small, { timeoutMs: 300 });
    await store.spend([once("warm")]);
    const busy = small.query("SELECT pg_sleep(0.6)");
    expect((await failure(store, "late")).code).toBe("ERR_STORE_UNAVAILABLE");
    await busy;
    expect((await store.spend([once("late")])).ok).toBe(true);
  });

  it("a connection is cut under a call: an error, and the next call has another connection", async () => {
    const store = postgresStore(clients.pool({ max: 2 }));
    const holder = await pool.connect();
    await holder.query("BEGIN; SELECT 1");
    await postgresStore(holder).spend([once("cut")]);
    const cut = failure(store, "cut");
    for (;;) {
      const { rowCount } = await pool.query("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted");
      if (rowCount === 1) break;
    }
    expect((await cut).code).toBe("ERR_STORE_UNAVAILABLE");
    await holder.query("ROLLBACK");
    holder.release();
    expect((await store.spend([once("cut")])).ok).toBe(true);
  });

  for (const [how, signal] of [
    ["in order", "SIGINT"],
    ["by a crash", "SIGQUIT"],
  ] as const) {
    it(`the server restarts ${how} under load: nothing admitted is forgotten, nothing admitted twice, and it goes on`, async () => {
      const sql = clients.porsager();
      const stores = [clients.pool(), sql].map((client) => postgresStore(client, { timeoutMs: 1000 }));
      const [expiresAt, admitted] = [Date.now() + 600_000, new Map<string, number>()];
      let [running, failed, after] = [true, 0, 0];
      let restarted = false;
      const callers = Array.from({ length: 32 }, async (_, caller) => {
        for (let round = 0; running; round++) {
          // Every token is tried by four callers; all share one counter.
          const quotas: UsesQuota[] = [
            { key: `${how}:${caller >> 2}:${round}`, limit: 1, expiresAt },
            { key: how, limit: 1_000_000, expiresAt },
          ];
          try {
            const { ok } = (await stores[caller % 2]?.spend(quotas)) ?? { ok: false };
            if (!ok) continue;
            for (const { key } of quotas) admitted.set(key, (admitted.get(key) ?? 0) + 1);
            if (restarted) after += 1;
          } catch (error) {
            failed += 1;
            expect(error).toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
            await sleep(10);
          }
        }
      });
      await sleep(300);
      await clients.server.stop(signal);
      await sleep(200);
      await clients.server.start();
      restarted = true;
      const end = performance.now() + 10_000;
      while (after < 200 && performance.now() < end) await sleep(20);
      running = false;
      await Promise.all(callers);
      expect([failed > 0, after >= 200]).toEqual([true, true]);
      const shared = admitted.get(how) ?? 0;
      admitted.delete(how);
      expect([...admitted.values()].filter((times) => times > 1)).toEqual([]);
      expect(shared).toBe(admitted.size);
      const rows = await clients.server.run("SELECT key, n FROM gatepass_store");
      const held = new Map(rows.map(({ key, n }) => [String(key), Number(n)]));
      expect([...admitted.keys()].filter((key) => held.get(key) !== 1)).toEqual([]);
      // A charge whose answer was lost with the connection costs a use: so many at most as there were errors.
      const charged = held.get(how) ?? 0;
      expect([charged >= shared, charged - shared <= failed]).toEqual([true, true]);
    });
  }

  it("serializable transactions, and a caller's own ones", async () => {
    const options = { options: "-c default_transaction_isolation=serializable" };
    const store = postgresStore(clients.pool({ max: 8, ...options }), { timeoutMs: 20_000 });
    const quota = { ...once("serializable"), limit: 30 };
    const all = await Promise.all(Array.from({ length: 100 }, () => store.spend([quota])));
    expect(all.filter(({ ok }) => ok).length).toBe(30);
    const client = new pg.Client({ connectionString: clients.server.url });
    await client.connect();
    // What the transaction saw first is all it sees: it cannot decide, and says so.
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1");
    expect((await failure(postgresStore(client), "own")).code).toBe("ERR_STORE_UNAVAILABLE");
    await client.query("ROLLBACK");
    // In one of READ COMMITTED it is charged when the caller commits, and not if the caller does not.
    await client.query("BEGIN");
    expect((await postgresStore(client).spend([once("own")])).ok).toBe(true);
    await client.query("ROLLBACK");
    expect((await postgresStore(client).spend([once("own")])).ok).toBe(true);
    await client.end();
  });

  it("serializable transactions on a cold pool: 100 first calls at once are all admitted, and no connection is dropped", async () => {
    const cold = clients.pool({ max: 100, options: "-c default_transaction_isolation=serializable" });
    let dropped = 0;
    cold.on("remove", () => {
      dropped += 1;
    });
    const store = postgresStore(cold, { timeoutMs: 60_000 });
    const all = await Promise.all(Array.from({ length: 100 }, (_, i) => store.spend([once(`cold-${i}`)])));
    expect([all.filter(({ ok }) => ok).length, dropped]).toEqual([100, 0]);
  });

  it("a pooler gives every call another connection, and leaves nothing in it", async () => {
    let statements = 0;
    const pooled = {
      async query(text: string, values?: string[]) {
        const connection = await pool.connect();
        try {
          statements += 1;
          return values ? await connection.query(text, values) : await connection.query(text);
        } finally {
          await connection.query("DISCARD ALL");
          connection.release();
        }
      },
    };
    const store = postgresStore(pooled, { timeoutMs: 20_000 });
    const all = await Promise.all(
      Array.from({ length: 40 }, () =>
        store.spend([
          { ...once("pooled"), limit: 7 },
          { key: "rate", limit: 90, window: 60 },
        ]),
      ),
    );
    expect([all.filter(({ ok }) => ok).length, statements]).toEqual([7, 40]);
    const sql = clients.porsager({ max: 1, prepare: false });
    expect((await postgresStore(sql).spend([once("unnamed")])).ok).toBe(true);
    expect(await sql.unsafe("SELECT name FROM pg_prepared_statements")).toEqual([]);
    const [own] = await sql.unsafe("SELECT current_setting('lock_timeout') AS wait, current_setting('enable_seqscan') AS scan");
    expect(own).toEqual({ wait: "0", scan: "on" });
  });
});

/** A server that does `talk` with whoever connects. */
function listen(talk: (socket: Socket) => unknown): Promise<[server: Server, port: number]> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => talk(socket));
    });
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve([server, typeof address === "object" && address ? address.port : 0]);
    });
  });
}
