// What a role of PostgreSQL may not do, found out by `check` before the first visitor does. Every role here is one of a real server.
import pg from "pg";
import postgres from "postgres";
import { afterAll, beforeAll, expect, it } from "vitest";
import { migrate, postgresBoard, postgresStore } from "../../../adapters/postgres.ts";
import { createGate } from "../../../src/gate/index.ts";
import { scores } from "../../../src/scores/index.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";

const ALL =
  "GRANT USAGE ON SCHEMA app TO who; GRANT ALL ON ALL TABLES IN SCHEMA app TO who; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA app TO who;";

/** What a role is given; what the store's check says that it lacks, and the board's; whether they work. */
const ROLES: Record<
  string,
  { grants: string; store: RegExp | undefined; board: RegExp | undefined; works: [store: boolean, board: boolean] }
> = {
  everything: { grants: ALL, store: undefined, board: undefined, works: [true, true] },
  "no schema": {
    grants: `${ALL} REVOKE USAGE ON SCHEMA app FROM who;`,
    store: /lacks USAGE on the schema: calls fail$/,
    board: /lacks USAGE on the schema: calls fail$/,
    works: [false, false],
  },
  "no function": {
    grants: `${ALL} REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA app FROM who;`,
    store: /lacks EXECUTE on gate_begin, EXECUTE on gate_block, EXECUTE on gate_refund, EXECUTE on gate_spend, EXECUTE on gate_sweep: /,
    board: /lacks EXECUTE on gate_begin, EXECUTE on gate_boards_around, .*EXECUTE on gate_boards_top: /,
    works: [false, false],
  },
  "no spend": {
    grants: `${ALL} REVOKE EXECUTE ON FUNCTION app.gate_spend(text) FROM who;`,
    store: /lacks EXECUTE on gate_spend: /,
    board: undefined,
    works: [false, true],
  },
  "no table": {
    grants: `${ALL} REVOKE ALL ON ALL TABLES IN SCHEMA app FROM who;`,
    store: /lacks DELETE on gate_store, INSERT on gate_store, SELECT on gate_store, UPDATE on gate_store: /,
    board: /lacks DELETE on gate_board_bans, .*UPDATE on gate_board_seen: /,
    works: [false, false],
  },
  "tables that are only read": {
    grants: `${ALL} REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app FROM who;`,
    store: /lacks DELETE on gate_store, INSERT on gate_store, UPDATE on gate_store: /,
    board: /lacks DELETE on gate_board_bans, INSERT on gate_board_bans, UPDATE/,
    works: [false, false],
  },
  "nothing at all": { grants: "", store: /lacks USAGE on the schema, EXECUTE .*, DELETE /, board: /lacks USAGE/, works: [false, false] },
};

describeWith("PostgreSQL", postgresFolder() !== undefined)("a role of PostgreSQL that may not do everything", () => {
  let server: PostgresServer;
  let url: string;
  const place = { schema: "app", prefix: "gate" };
  beforeAll(async () => {
    server = await startPostgres();
    url = await server.database("app");
    const owner = new pg.Client({ connectionString: url });
    await owner.connect();
    await migrate(owner, place);
    await owner.query("REVOKE ALL ON ALL FUNCTIONS IN SCHEMA app FROM PUBLIC");
    for (const [i, { grants }] of Object.values(ROLES).entries()) {
      await owner.query(`CREATE ROLE role${i} LOGIN; ${grants.replaceAll("who", `role${i}`)}`);
    }
    await owner.query(`CREATE ROLE walled LOGIN; ${ALL.replaceAll("who", "walled")}`);
    await owner.end();
  });
  afterAll(() => server.close());

  const urlOf = (role: string): string => Object.assign(new URL(url), { username: role }).href;
  const roleOf = (name: string): string => `role${Object.keys(ROLES).indexOf(name)}`;

  it.each(Object.keys(ROLES))("%s", async (name) => {
    const pool = new pg.Pool({ connectionString: urlOf(roleOf(name)), max: 2 });
    pool.on("error", () => undefined);
    const sql = postgres(urlOf(roleOf(name)), { max: 1, onnotice: () => undefined });
    const { store: ofStore, board: ofBoard, works } = ROLES[name] ?? expect.fail();
    try {
      for (const client of [pool, sql]) {
        const [store, board] = [postgresStore(client, place), postgresBoard(client, place)];
        for (const [part, pattern] of [
          [store, ofStore],
          [board, ofBoard],
        ] as const) {
          const errors = (await part.check()).filter(({ severity }) => severity === "error");
          expect(errors).toEqual(pattern ? [expect.objectContaining({ code: "GP155", message: expect.stringMatching(pattern) })] : []);
        }
        // What it says is true.
        const spent = await store.spend([{ key: `k${client === pool}`, limit: 1, expiresAt: Date.now() + 60_000 }]).then(
          ({ ok }) => ok,
          () => false,
        );
        const shown = await board.ban("anna", false, "").then(
          () => true,
          () => false,
        );
        expect([spent, shown]).toEqual(works);
      }
    } finally {
      await pool.end();
      await sql.end();
    }
  });

  it("what check() names as its repair gives the role what it lacks, no more and no less", async () => {
    const owner = new pg.Client({ connectionString: url });
    await owner.connect();
    await owner.query("CREATE ROLE bare LOGIN");
    const pool = new pg.Pool({ connectionString: urlOf("bare"), max: 2 });
    pool.on("error", () => undefined);
    try {
      for (const part of [postgresStore(pool, place), postgresBoard(pool, place)]) {
        const [problem] = (await part.check()).filter(({ code }) => code === "GP155");
        await owner.query(/: (GRANT .*)$/.exec(problem?.fix ?? "")?.[1] ?? "");
        expect((await part.check()).filter(({ severity }) => severity === "error")).toEqual([]);
      }
      expect((await postgresStore(pool, place).spend([{ key: "bare", limit: 1, expiresAt: Date.now() + 60_000 }])).ok).toBe(true);
      const board = postgresBoard(pool, place);
      const entry = { board: "b", score: 1, at: 1, level: "claimed", flags: [], name: "n" } as const;
      const rules = { periods: ["all"], order: "desc", operator: "best", group: "b" } as const;
      const { id } = await board.submit({ ...entry, player: "p", submission: "s", unique: "ada" }, rules);
      expect((await board.submit({ ...entry, player: "q", submission: "t" }, rules)).status).toBe("stored");
      expect([await board.claim("q", "p", "b"), await board.rename("p", "Ada", { group: "b" }), await board.hide(id, true)]).toEqual([
        1,
        true,
        true,
      ]);
      expect([await board.purge("p", "b"), await board.clear("b"), (await board.sweep()) > 0]).toEqual([1, 1, true]);
    } finally {
      await pool.end();
      await owner.end();
    }
  });

  it("gate.check() says so, and not that the backend is down; what no catalog tells, a spend does", async () => {
    const codesOf = async (role: string): Promise<string[]> => {
      const pool = new pg.Pool({ connectionString: urlOf(role), max: 2 });
      pool.on("error", () => undefined);
      const gate = createGate({
        secrets: "JxJWFQgo6gGmNIXU5qMNrSfFIMsDzyrqWeIOwgRp1DY",
        turnstile: { secret: "0x4AAAAAAA_a_secret", allowedHostnames: ["game.example"] },
        store: postgresStore(pool, place),
        features: [scores({ board: postgresBoard(pool, place) })],
      });
      const problems = await gate.check();
      await pool.end();
      return problems
        .filter(({ severity }) => severity === "error")
        .map(({ code, message }) => `${code}${/ \(\w+\)/.exec(message)?.[0] ?? ""}`);
    };
    expect(await codesOf(roleOf("nothing at all"))).toEqual(["GP155", "GP155"]);
    expect(await codesOf("walled")).toEqual([]);
    // A policy that lets the role write no row.
    const owner = new pg.Client({ connectionString: url });
    await owner.connect();
    await owner.query("ALTER TABLE app.gate_store ENABLE ROW LEVEL SECURITY");
    expect(await codesOf("walled")).toEqual(["GP121 (42501)"]);
    await owner.query("ALTER TABLE app.gate_store DISABLE ROW LEVEL SECURITY");
    await owner.end();
    expect(await server.run("SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });

  it("nothing stays of a check", async () => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    expect((await client.query("SELECT key FROM app.gate_store WHERE key LIKE '%check%'")).rows).toEqual([]);
    await client.end();
  });
});
