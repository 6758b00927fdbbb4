// How many pages of the database a call reads on a board of 200,000 rows. Pages, not times, which depend on the machine.
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { migrate, type PostgresBoard, type PostgresClient, postgresBoard } from "../../../adapters/postgres.ts";
import type { BoardRules, ScoreEntry } from "../../../src/scores/board.ts";
import { isJsonObject } from "../../../src/util/json.ts";
import { describeWith, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";

const ROWS = 200_000;
/** Pages that a call may touch: fewer than the table of the rows has, and a few times what calls do touch. */
const MOST = 2_500;
const RULES: BoardRules = { periods: ["all"], order: "desc", operator: "best", max: 999_999, group: "one" };
const VIEW = { board: "main", period: "all" };
const entry = (player: string, score: number, more: Partial<ScoreEntry> = {}): ScoreEntry => ({
  board: "main",
  player,
  score,
  at: 1,
  submission: `${player} ${score}`,
  level: "claimed",
  flags: [],
  name: player,
  ...more,
});

/** A driver that explains each call before it makes it. `pages`: how many pages of the database the last call touched. */
function looking(client: pg.Client): { client: PostgresClient; pages: number } {
  const looked = {
    pages: 0,
    client: {
      async query(text: string, values: string[] = []) {
        if (text.includes("_boards_")) {
          await client.query("BEGIN");
          const { rows } = await client.query(`EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) ${text}`, values);
          await client.query("ROLLBACK");
          looked.pages = pagesIn(rows[0]["QUERY PLAN"][0]);
        }
        return client.query(text, values);
      },
    },
  };
  return looked;
}

function pagesIn(answer: unknown): number {
  const plan = isJsonObject(answer) ? answer["Plan"] : undefined;
  if (!isJsonObject(plan)) throw new TypeError("No plan");
  return Number(plan["Shared Hit Blocks"]) + Number(plan["Shared Read Blocks"]);
}

describeWith("PostgreSQL", postgresFolder() !== undefined)("postgresBoard on 200,000 rows", () => {
  let server: PostgresServer;
  const opened: pg.Client[] = [];
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(async () => {
    await Promise.all(opened.map((client) => client.end()));
    await server.close();
  });
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url });
    opened.push(client);
    await client.connect();
    return client;
  };

  /** Every call once; `n` makes each round's players and scores its own. */
  const calls = (board: PostgresBoard, n: number): Record<string, () => Promise<unknown>> => ({
    "a first score": () => board.submit(entry(`new ${n}`, 500_000 + n), RULES),
    "a better score": () => board.submit(entry(`player ${100 + n}`, 999_000 + n), RULES),
    top: () => board.top({ ...VIEW, limit: 10 }),
    "a page far down": () => board.top({ ...VIEW, limit: 10, minLevel: "bounded", after: { score: 400_000, at: 1, id: "x" } }),
    "the other order": () => board.top({ ...VIEW, limit: 10, order: "asc", min: 1_000 }),
    around: () => board.around("id 555", 5),
    near: () => board.near({ ...VIEW, score: 345_678, n: 5, max: 900_000 }),
    count: () => board.count({ ...VIEW, min: 5, max: 777_777 }),
    find: () => board.find("id 556"),
    ofPlayers: () => board.ofPlayers({ ...VIEW, players: ["player 5", "player 6"] }),
    rowsOf: () => board.rowsOf("player 7", "one"),
    "hidden rows": () => board.hidden({ group: "one", limit: 10 }),
    hide: () => board.hide(`id ${200 + n}`, true),
    remove: () => board.remove(`id ${300 + n}`),
    ban: () => board.ban(`player ${400 + n}`, true, "one"),
    purge: () => board.purge(`player ${500 + n}`, "one"),
    rename: () => board.rename(`player ${600 + n}`, "Ada", { group: "one" }),
    claim: () => board.claim(`player ${700 + n}`, `player ${800 + n}`, "one"),
    "another range": () => board.submit(entry(`wide ${n}`, 1), { ...RULES, max: 2 ** (20 + 6 * n) }),
    "another order": () => board.submit(entry(`rising ${n}`, 1), { ...RULES, max: 2 ** (20 + 6 * n), order: "asc" }),
    "another group": () => board.submit(entry(`moved ${n}`, 1), { ...RULES, group: `two ${n}` }),
    "back again": () => board.submit(entry(`back ${n}`, 1), RULES),
  });

  it("no call reads the board: whether its plan is from when the board was empty, or from statistics of before", {
    timeout: 120_000,
  }, async () => {
    const early = await connect();
    await migrate(early);
    const planned = looking(early);
    for (const call of Object.values(calls(postgresBoard(planned.client, { timeoutMs: 60_000 }), 1))) await call();
    await load(early);
    const [size] = await server.run("SELECT pg_relation_size('gatepass_board_rows') / 8192 AS pages");
    expect(Number(size?.["pages"])).toBeGreaterThan(MOST);
    for (const [n, looked] of [planned, looking(await connect())].entries()) {
      const board = postgresBoard(looked.client, { timeoutMs: 60_000 });
      // A connection reads the catalog at its first calls.
      for (const call of Object.values(calls(board, 2 + 2 * n))) await call();
      const read: Record<string, number> = {};
      for (const [name, call] of Object.entries(calls(board, 3 + 2 * n))) {
        await call();
        read[name] = looked.pages;
      }
      await board.clear("main", `nothing ${n}`);
      read["clear"] = looked.pages;
      expect(Object.entries(read).filter(([, pages]) => !(pages > 0 && pages < MOST))).toEqual([]);
    }
    const board = postgresBoard(planned.client, { timeoutMs: 60_000 });
    expect(await board.clear("main")).toBe(1);
    // Rows, and the submissions of the calls above.
    expect(await board.sweep(100)).toBeGreaterThanOrEqual(100);
    expect(planned.pages).toBeLessThan(MOST);
    expect(await board.top({ ...VIEW, limit: 1 })).toEqual([]);
  });

  async function load(client: pg.Client): Promise<void> {
    await client.query("ALTER TABLE gatepass_board_rows DISABLE TRIGGER counted");
    await client.query(`INSERT INTO gatepass_board_rows (id, list, player, score, at, submission, level, flags, name, hidden, shown)
      SELECT 'id ' || i, l.list, 'player ' || i, i::bigint * 7919 * 131 % 1000000, i, 's ' || i, i % 4, '[]', 'n', false, i % 4
      FROM generate_series(1, ${ROWS}) AS i, gatepass_board_lists l WHERE l.board = 'main' ON CONFLICT DO NOTHING`);
    // The counts come after the statistics, which take their table for an empty one.
    await client.query("VACUUM ANALYZE");
    await migrate(client, { recount: true });
  }
});
