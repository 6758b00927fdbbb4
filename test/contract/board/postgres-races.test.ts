import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { migrate, type PostgresBoard, postgresBoard } from "../../../adapters/postgres.ts";
import type { BoardRules, ScoreEntry } from "../../../src/scores/board.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";
import { expectOrderOf } from "./crowd.ts";

const RULES = { periods: ["all", "2026-W47"], order: "desc", operator: "best" } satisfies BoardRules;
const POOLS = 4;

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresBoard, from many connections", () => {
  let server: PostgresServer;
  let pools: pg.Pool[] = [];
  let boards: PostgresBoard[] = [];
  let serial = 0;

  beforeAll(async () => {
    server = await startPostgres();
    // One of them begins its transactions otherwise.
    pools = Array.from({ length: POOLS }, (_, i) => {
      const options = i === 0 ? "-c default_transaction_isolation=serializable" : "";
      const pool = new pg.Pool({ connectionString: server.url, max: 6, options });
      pool.on("error", () => undefined);
      return pool;
    });
    boards = pools.map((pool) => postgresBoard(pool, { timeoutMs: 20_000 }));
    await migrate(nth(pools, 1));
  });
  afterAll(async () => {
    await Promise.allSettled(pools.map((pool) => pool.end()));
    await server.close();
  });
  beforeEach(async () => {
    const tables = ["rules", "lists", "rows", "hist", "seen", "bans", "names"].map((table) => `gatepass_board_${table}`);
    await server.run(`TRUNCATE ${tables.join(", ")}`);
  });

  function nth<T>(list: readonly T[], i: number): T {
    const one = list[i % list.length];
    if (one === undefined) throw new Error("None");
    return one;
  }

  const entry = (player: string, score: number, more: Partial<ScoreEntry> = {}): ScoreEntry => {
    serial += 1;
    return { board: "main", player, score, at: serial, submission: `s${serial}`, level: "claimed", flags: [], name: player, ...more };
  };

  /** Cells of the histogram that are not what the rows come to; none is left at zero. */
  async function drift(): Promise<unknown[]> {
    return server.run(`
      WITH counted AS (SELECT list, d AS depth, score >> (8 * d) AS bucket, count(*) FILTER (WHERE shown = 0) AS n0, count(*) FILTER (WHERE shown = 1) AS n1,
          count(*) FILTER (WHERE shown = 2) AS n2, count(*) FILTER (WHERE shown = 3) AS n3
          FROM gatepass_board_rows JOIN gatepass_board_lists USING (list) CROSS JOIN LATERAL generate_series(0, depths - 1) AS d WHERE shown >= 0 GROUP BY 1, 2, 3)
      SELECT * FROM counted FULL JOIN gatepass_board_hist h USING (list, depth, bucket)
      WHERE (counted.n0, counted.n1, counted.n2, counted.n3) IS DISTINCT FROM (h.n0, h.n1, h.n2, h.n3)`);
  }

  it("two first submissions of one player make one row, of everybody at once", async () => {
    const players = Array.from({ length: 20 }, (_, i) => `p${i}`);
    const results = await Promise.all(
      players.flatMap((player, p) => [1, 2, 3, 4].map((n) => nth(boards, p + n).submit(entry(player, p * 10 + n), RULES))),
    );
    expect(new Set(results.map(({ id }) => id)).size).toBe(players.length);
    for (const period of RULES.periods) {
      const rows = await nth(boards, 1).top({ board: "main", period, limit: 100 });
      expect(rows.map(({ player, score }) => [player, score])).toEqual(players.map((player, p) => [player, p * 10 + 4]).toReversed());
      for (const row of rows) expect((await nth(boards, 2).find(row.id))?.rank).toBe(row.rank);
    }
    expect(await drift()).toEqual([]);
  });

  it("one submission counts once a period, whoever sends it", async () => {
    const sum: BoardRules = { ...RULES, operator: "sum" };
    const shared = Array.from({ length: 30 }, (_, i) => entry("adder", 1, { submission: `shared${i}` }));
    const results = await Promise.all(shared.flatMap((one) => boards.map((board) => board.submit(one, sum))));
    expect(results.filter(({ status }) => status === "stored").length).toBe(30);
    expect(results.filter(({ status }) => status === "repeated").length).toBe(30 * (POOLS - 1));
    expect((await nth(boards, 1).ofPlayer({ board: "main", period: "2026-W47", player: "adder" }))?.score).toBe(30);
    expect(await drift()).toEqual([]);
  });

  it("four processes: the best is kept, each submission counts once, the ranks add up", { timeout: 120_000 }, async () => {
    await expectOrderOf(server.url, nth(boards, 1));
    expect(await drift()).toEqual([]);
  });

  it("two players of one guest's account, renames and purges at once: each row is one player's, each name too", async () => {
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => {
        const board = nth(boards, i);
        const [guest, user] = [`guest${i % 10}`, `user${i % 5}`];
        const rules: BoardRules = { ...RULES, operator: i % 3 ? "best" : "sum", group: "" };
        if (i % 6 === 0) return board.claim(guest, user, "");
        if (i % 6 === 1) return board.rename(user, `Name ${i % 7}`, { group: "", unique: `name ${i % 7}` });
        if (i % 30 === 2) return board.purge(user, "");
        if (i % 30 === 3) return board.clear("other", "2026-W47");
        if (i % 30 === 4) return board.sweep(10);
        return board.submit(entry(i % 2 ? guest : user, i, { board: i % 3 ? "main" : "other", unique: `name ${i % 7}` }), rules);
      }),
    );
    for (let gone = 1; gone > 0; ) gone = await nth(boards, 1).sweep(1_000);
    expect(await drift()).toEqual([]);
    for (const row of await nth(boards, 1).top({ board: "main", period: "all", limit: 100 })) {
      expect((await nth(boards, 1).find(row.id))?.rank).toBe(row.rank);
    }
    const twice = "SELECT player, list FROM gatepass_board_rows GROUP BY 1, 2 HAVING count(*) > 1";
    const unreachable =
      "SELECT id FROM gatepass_board_rows LEFT JOIN gatepass_board_lists l USING (list) WHERE l.board IS NULL OR l.board = ''";
    expect([await server.run(twice), await server.run(unreachable)]).toEqual([[], []]);
  });

  it("the histogram does not drift, whatever is done at once", async () => {
    const first = await Promise.all(Array.from({ length: 12 }, (_, i) => nth(boards, i).submit(entry(`p${i}`, i), RULES)));
    const errors: unknown[] = [];
    await Promise.all(
      Array.from({ length: 400 }, async (_, i) => {
        const board = nth(boards, i);
        const player = `p${(i * 5) % 12}`;
        try {
          // Ranges that grow and an order that changes make everything anew, under everybody's hands.
          const rules: BoardRules = { ...RULES, max: i % 50 === 0 ? 255 + i * 100 : 255, order: i > 300 ? "asc" : "desc" };
          if (i % 8 === 0) await board.hide(nth(first, i >> 3).id, i % 16 === 0);
          else if (i % 8 === 1) await board.ban(player, i % 16 === 1, "");
          else if (i % 16 === 2) await board.purge(player, "");
          else if (i % 16 === 3) await board.remove(nth(first, i).id);
          else await board.submit(entry(player, (i * 37) % 256, { board: i % 5 ? "main" : "other" }), rules);
        } catch (error) {
          errors.push(error);
        }
      }),
    );
    expect(errors).toEqual([]);
    expect(await drift()).toEqual([]);
    // A banned player's row is never shown, whoever was first.
    const shown = "SELECT r.id FROM gatepass_board_rows r JOIN gatepass_board_bans USING (player) WHERE shown >= 0";
    expect(await server.run(shown)).toEqual([]);
  });

  it("a ban and a submission at the same moment leave nothing shown", async () => {
    for (let i = 0; i < 60; i++) {
      const player = `racer${i}`;
      await Promise.all([
        nth(boards, i).submit(entry(player, i), RULES),
        nth(boards, i + 1).ban(player, true, ""),
        nth(boards, i + 2).submit(entry(player, i), RULES),
      ]);
    }
    expect(await nth(boards, 1).top({ board: "main", period: "all", limit: 100 })).toEqual([]);
    expect(await drift()).toEqual([]);
  });

  it("a server that hangs or is gone is ERR_BOARD_UNAVAILABLE in time, and what was given up is not stored", async () => {
    const pool = nth(pools, 1);
    const board = postgresBoard(pool, { timeoutMs: 500 });
    const before = await board.submit(entry("a", 5), RULES);
    const calls = (): Promise<unknown>[] => [
      board.submit(entry("b", 6), RULES),
      board.top({ board: "main", period: "all", limit: 5 }),
      board.find(before.id),
      board.purge("a", ""),
    ];
    const unavailable = async (): Promise<void> => {
      const start = performance.now();
      for (const result of await Promise.allSettled(calls())) {
        expect(result).toMatchObject({ status: "rejected", reason: { code: "ERR_BOARD_UNAVAILABLE" } });
      }
      expect(performance.now() - start).toBeLessThan(1000);
    };
    server.pause();
    await unavailable();
    server.resume();
    expect((await board.top({ board: "main", period: "all", limit: 5 })).map(({ player }) => player)).toEqual(["a"]);
    await server.stop("SIGQUIT");
    await unavailable();
    await server.start();
    await expect
      .poll(() =>
        board.find(before.id).then(
          (row) => row?.rank,
          () => "not yet",
        ),
      )
      .toBe(1);
    expect((await board.submit(entry("b", 6), RULES)).rank).toBe(1);
  });
});
