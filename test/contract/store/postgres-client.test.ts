import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migrate, type PostgresClient, postgresBoard, postgresStore } from "../../../adapters/postgres.ts";
import type { UsesQuota } from "../../../src/store/index.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type Clients, startClients } from "./postgres-under-test.ts";

const quota: UsesQuota = { key: "k", limit: 1, expiresAt: 2_000_000_000_000 };
const admitted = { ok: true, at: 1_750_000_000_000, clock: 1_750_000_000_000, held: [[null, null, null, null]] };

/** A client that answers what it is told, one answer after the other; an error is thrown. */
function fake(...answers: unknown[]): { client: PostgresClient; asked: { text: string; wanted: Record<string, unknown> }[] } {
  const asked: { text: string; wanted: Record<string, unknown> }[] = [];
  const query = async (text: string, values: string[] = []): Promise<unknown> => {
    asked.push({ text, wanted: JSON.parse(values[0] ?? "{}") });
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    if (answer instanceof Error) throw answer;
    return { rows: [{ answer: typeof answer === "string" ? answer : JSON.stringify(answer) }] };
  };
  return { client: { query }, asked };
}

const failed = (code: string): Error => Object.assign(new Error("failed"), { code });

describe("a client of PostgreSQL", () => {
  it("must be one, and options are checked at once", () => {
    const { client } = fake(admitted);
    for (const make of [postgresStore, postgresBoard]) {
      for (const none of [null, undefined, {}, { query: 1 }, { unsafe: "x" }]) {
        expect(() => Reflect.apply(make, undefined, [none])).toThrow(TypeError);
      }
      for (const schema of ["", "a b", 'x"; DROP TABLE y; --', "1a", "a".repeat(33), "ä"]) {
        expect(() => make(client, { schema })).toThrow(RangeError);
        expect(() => make(client, { prefix: schema })).toThrow(RangeError);
      }
      expect(() => make(client, { timeoutMs: 0 })).toThrow(RangeError);
      expect(() => Reflect.apply(make, undefined, [client, { tabel: "x" }])).toThrow(TypeError);
    }
  });

  it("is asked once a spend, with a deadline as soon as the server's clock is known", async () => {
    const { client, asked } = fake(admitted, { ...admitted, clock: admitted.clock + 3_600_000 });
    const store = postgresStore(client, { timeoutMs: 1000, schema: "order", prefix: "user" });
    for (let i = 0; i < 3; i++) expect((await store.spend([quota])).ok).toBe(true);
    expect(asked.map(({ text }) => text)).toEqual(Array.from({ length: 3 }, () => 'SELECT "order"."user_spend"($1) AS answer'));
    const deadlines = asked.map(({ wanted }) => wanted["deadline"]);
    expect(deadlines[0]).toBe(null);
    // 900 of the 1000 ms, by the clock of the last answer.
    expect(Math.abs(Number(deadlines[1]) - admitted.clock - 900)).toBeLessThan(300);
    expect(Math.abs(Number(deadlines[2]) - admitted.clock - 3_600_900)).toBeLessThan(300);
  });

  it("whose server's clock was set forward is asked again, and one that is late is given up", async () => {
    const late = { late: true, clock: admitted.clock + 86_400_000 };
    const jumped = fake(admitted, late, { ...admitted, clock: late.clock });
    const store = postgresStore(jumped.client, { timeoutMs: 1000 });
    await store.spend([quota]);
    expect((await store.spend([quota])).ok).toBe(true);
    expect(Number(jumped.asked[2]?.wanted["deadline"])).toBeGreaterThan(late.clock);
    await expect(postgresStore(fake(late).client, { timeoutMs: 100 }).spend([quota])).rejects.toMatchObject({
      code: "ERR_STORE_UNAVAILABLE",
    });
  });

  it("is asked again where two transactions met, and not where something else is wrong", async () => {
    for (const [code, times] of [
      ["40001", 3],
      ["40P01", 3],
      ["23505", 3],
      ["53300", 1],
      ["ECONNRESET", 1],
    ] as const) {
      const { client, asked } = fake(failed(code), failed(code), admitted);
      const spent = postgresStore(client).spend([quota]);
      if (times > 1) expect((await spent).ok).toBe(true);
      else await expect(spent).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      expect(asked.length).toBe(times);
    }
    const { client } = fake(failed("40001"));
    await expect(postgresStore(client, { timeoutMs: 50 }).spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  });

  it("that answers nonsense admits nobody", async () => {
    const nonsense = [
      "",
      "null",
      "[]",
      "{}",
      "<html>",
      { ...admitted, held: [] },
      { ...admitted, at: "now" },
      { ...admitted, ok: false },
      { ...admitted, ok: true, held: [[9e15, 1, null, null]] },
      { ...admitted, ok: true, held: [[null, null, 9e15, null]] },
    ];
    for (const answer of nonsense) {
      await expect(postgresStore(fake(answer).client).spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    }
    const empty: PostgresClient = { query: async () => ({ rows: [] }) };
    await expect(postgresStore(empty).spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    const entry = { board: "b", player: "p", score: 1, at: 1, submission: "s", level: "claimed", flags: [], name: "n" } as const;
    for (const answer of nonsense) {
      const board = postgresBoard(fake(answer).client);
      const calls = [
        board.top({ board: "b", period: "all", limit: 1 }),
        board.submit(entry, { periods: ["all"], order: "desc", operator: "best" }),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: "ERR_BOARD_UNAVAILABLE" });
    }
  });

  it("is not asked once the store is closed", async () => {
    const { client, asked } = fake(admitted);
    const store = postgresStore(client);
    await store.close();
    await expect(store.spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    expect(asked).toEqual([]);
  });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("migrate and check", () => {
  let clients: Clients;
  let pool: pg.Pool;
  const codes = async (client: PostgresClient, place = {}): Promise<string[]> =>
    (await postgresStore(client, place).check()).map(({ code }) => code);
  beforeAll(async () => {
    clients = await startClients({ settings: { fsync: "on" } });
    pool = clients.pool();
  });
  afterAll(() => clients.close());

  it("any number of processes may migrate at once, again and again", async () => {
    const others = { options: "-c default_transaction_isolation=serializable" };
    const all = await Promise.all(
      Array.from({ length: 8 }, (_, i) => migrate(clients.pool({ max: 1, ...(i % 2 ? others : {}) }), { schema: "crowd" })),
    );
    expect(new Set(all.flat())).toEqual(new Set([expect.stringMatching(/^made the tables and functions of version \d+$/)]));
    expect(await migrate(pool, { schema: "crowd" })).toEqual([]);
    const { rows } = await pool.query("SELECT count(*)::int AS n FROM crowd.gatepass_migrations");
    expect(rows).toEqual([{ n: 1 }]);
    expect(await codes(pool, { schema: "crowd" })).toEqual([]);
    expect(await postgresBoard(pool, { schema: "crowd" }).check()).toEqual([]);
  });

  it("keeps what is there, and what a newer release has made", async () => {
    const place = { schema: "kept", prefix: "Gate_1" };
    await migrate(pool, place);
    const store = postgresStore(pool, place);
    expect((await store.spend([quota])).ok).toBe(true);
    await migrate(pool, place);
    expect((await store.spend([quota])).ok).toBe(false);
    await pool.query('INSERT INTO kept."Gate_1_migrations" (version) VALUES (1000)');
    expect(await migrate(pool, place)).toEqual([]);
    expect(await codes(pool, place)).toEqual([]);
    await pool.query(
      'UPDATE kept."Gate_1_migrations" SET version = 0 WHERE version = 1000; DELETE FROM kept."Gate_1_migrations" WHERE version > 0',
    );
    expect(await codes(pool, place)).toEqual(["GP150"]);
    expect(await migrate(pool, place)).toContainEqual(
      expect.stringMatching(/^brought the tables and functions from version 0 to version \d+$/),
    );
    expect((await store.spend([quota])).ok).toBe(false);
  });

  it("prefixes and schemas are apart", async () => {
    const places = [{ prefix: "one" }, { prefix: "two" }, { schema: "three", prefix: "one" }];
    for (const place of places) {
      await migrate(pool, place);
      expect((await postgresStore(pool, place).spend([quota])).ok).toBe(true);
    }
  });

  it("all or nothing, and a store says that nothing is there", async () => {
    expect(await codes(pool)).toEqual(["GP150"]);
    await expect(postgresStore(pool).spend([quota])).rejects.toThrow("Cannot use the database: migrate() has not been run");
    await expect(postgresBoard(pool).find("x")).rejects.toMatchObject({ code: "ERR_BOARD_UNAVAILABLE" });
    await pool.query("CREATE VIEW gatepass_board_rows AS SELECT 1 AS id");
    await expect(migrate(pool)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    const { rows } = await pool.query("SELECT to_regclass('gatepass_store') AS store");
    expect(rows).toEqual([{ store: null }]);
    await pool.query("DROP VIEW gatepass_board_rows");
    expect(await migrate(pool)).toHaveLength(1);
    // Over the text of several statements, as a driver with other result shapes gives it.
    expect(await migrate(clients.porsager())).toEqual([]);
  });

  it("says what would forget a token that was spent", async () => {
    await migrate(pool, { schema: "checked" });
    const check = (options: string): Promise<string[]> => codes(clients.pool({ max: 1, options }), { schema: "checked" });
    expect(await check("")).toEqual([]);
    expect(await check("-c synchronous_commit=off")).toEqual(["GP151"]);
    expect(await check("-c default_transaction_isolation=serializable")).toEqual(["GP152"]);
    expect(await check("-c default_transaction_read_only=on")).toEqual(["GP153"]);
    await pool.query("ALTER TABLE checked.gatepass_store SET UNLOGGED");
    expect(await check("")).toEqual(["GP151"]);
    await clients.server.run("ALTER SYSTEM SET fsync = off; ").then(() => clients.server.run("SELECT pg_reload_conf()"));
    await expect.poll(() => check("")).toEqual(["GP151", "GP151"]);
    await clients.server.stop();
    await expect(postgresStore(pool, { schema: "checked" }).check()).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    await clients.server.start();
  });

  it("a role without rights is told so, one with rights on the tables can spend", async () => {
    await migrate(pool, { schema: "rights" });
    await pool.query("CREATE ROLE app LOGIN");
    const url = clients.server.url.replace("gatepass@", "app@");
    const app = new pg.Pool({ connectionString: url });
    try {
      // The GRANT that it names is what was lacking.
      const granted = async (place: { schema: string }, admin: pg.Pool): Promise<string> => {
        const error: unknown = await migrate(app, place).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "ERR_CONFIG_INVALID", message: expect.stringMatching(/GP155.*: GRANT /) });
        const [, grant = ""] = /: (GRANT .*)$/.exec(String(error)) ?? [];
        await admin.query(grant);
        return grant;
      };
      expect(await granted({ schema: "other" }, pool)).toMatch(/^GRANT CREATE ON DATABASE \w+ TO app$/);
      expect(await migrate(app, { schema: "other" })).toHaveLength(1);
      await pool.query("CREATE SCHEMA foreign_one");
      expect(await granted({ schema: "foreign_one" }, pool)).toBe("GRANT USAGE, CREATE ON SCHEMA foreign_one TO app");
      expect(await migrate(app, { schema: "foreign_one" })).toHaveLength(1);
      const store = postgresStore(app, { schema: "rights" });
      await expect(store.spend([quota])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      await pool.query("GRANT USAGE ON SCHEMA rights TO app; GRANT ALL ON ALL TABLES IN SCHEMA rights TO app");
      expect((await store.spend([quota])).ok).toBe(true);
      const entry = { board: "b", player: "p", score: 1, at: 1, submission: "s", level: "claimed", flags: [], name: "n" } as const;
      const board = postgresBoard(app, { schema: "rights" });
      expect((await board.submit(entry, { periods: ["all"], order: "desc", operator: "best" })).status).toBe("stored");
      expect(await migrate(app, { schema: "rights" })).toEqual([]);
      // Tables of another role's, of a version before.
      await pool.query("UPDATE rights.gatepass_migrations SET version = 1; GRANT CREATE ON SCHEMA rights TO app");
      expect(await granted({ schema: "rights" }, pool)).toBe("GRANT gatepass TO app");
      expect(await migrate(app, { schema: "rights" })).not.toEqual([]);
    } finally {
      await app.end();
    }
  });

  it("a database in another encoding than UTF8 is refused by migrate, and check() names it", async () => {
    await pool.query("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    const latin = new pg.Pool({ connectionString: clients.server.url.replace(/[^/]+$/, "latin") });
    try {
      await expect(migrate(latin)).rejects.toMatchObject({ code: "ERR_CONFIG_INVALID", message: expect.stringMatching(/LATIN1.*GP154/) });
      expect((await latin.query("SELECT to_regclass('gatepass_store') AS store")).rows).toEqual([{ store: null }]);
      expect(await codes(latin)).toContain("GP154");
    } finally {
      await latin.end();
    }
  });

  it("tables of the version before are brought up to date by any number of processes at once, and keep what they hold", async () => {
    const place = { schema: "before" };
    await migrate(pool, place);
    await pool.query("DELETE FROM before.gatepass_migrations; INSERT INTO before.gatepass_migrations (version) VALUES (3)");
    const board = postgresBoard(pool, place);
    const problems = async (): Promise<string[]> => (await board.check()).map(({ code }) => code).filter((code) => code !== "GP151");
    expect(await problems()).toEqual(["GP150"]);
    const entry = { board: "b", player: "p", score: 1, at: 1, submission: "s", level: "claimed", flags: [], name: "n" } as const;
    await board.submit(entry, { periods: ["all"], order: "desc", operator: "best" });
    const told = await Promise.all(Array.from({ length: 8 }, () => migrate(pool, place)));
    expect(new Set(told.flat())).toEqual(
      new Set([expect.stringMatching(/^brought the tables and functions from version 3 to version \d+$/)]),
    );
    expect(await problems()).toEqual([]);
    expect(await board.top({ board: "b", period: "all", limit: 10 })).toHaveLength(1);
  });
});
