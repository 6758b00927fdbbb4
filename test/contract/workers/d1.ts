// A Worker that runs the contract suites on its own D1 binding.
import { type D1Client, d1Board, d1Store } from "../../../adapters/d1.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { type StoreUnderTest, testStore } from "../../../src/testing/store.ts";
import { testD1Board } from "./d1-board-cases.ts";
import { testD1Store } from "./d1-store-cases.ts";
import { serveSuite } from "./suites.ts";
import { line, type RealD1 } from "./tools.ts";

interface Env {
  DB: RealD1;
}

const TIMEOUT = 1000;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
let serial = 0;

export default {
  async fetch(request: Request, { DB }: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    // Tables of its own for each test; they go with it, or every later statement would read a longer schema.
    const table = (): string => `t${serial++}`;
    const drop = (kind: "TABLE" | "VIEW", names: readonly string[]): Promise<unknown> =>
      DB.batch(names.map((name) => DB.prepare(`DROP ${kind} IF EXISTS ${name}`)));
    if (pathname === "/board") {
      return serveSuite(request, (kit) => {
        testBoard(() => {
          const name = table();
          return {
            board: d1Board(DB, { table: name, timeoutMs: 20_000 }),
            reopen: () => d1Board(DB, { table: name }),
            async dispose() {
              await drop(
                "TABLE",
                ["rules", "lists", "rows", "hist", "seen", "bans"].map((one) => `${name}_${one}`),
              );
            },
          };
        }, kit);
        testD1Board(DB, table, kit);
      });
    }
    const store = (clock?: () => number): StoreUnderTest => {
      const name = table();
      const { reach, hang } = line();
      const client: D1Client = { prepare: (sql) => DB.prepare(sql), batch: (statements) => reach(() => DB.batch(statements)) };
      const options = { table: name, timeoutMs: PATIENT, ...(clock && { clock }) };
      return {
        store: d1Store(client, options),
        impatient: () => d1Store(client, { ...options, timeoutMs: TIMEOUT }),
        timeoutMs: TIMEOUT,
        // Another test asks whether it decides as the store in memory does, which stood all 120.
        schedules: 20,
        another: () => d1Store(DB, options),
        async dump() {
          const [answer] = await DB.batch([DB.prepare(`SELECT DISTINCT key FROM ${name}`)]).catch(() => []);
          return (answer?.results ?? []).map((row) => (typeof row === "object" && row !== null && "key" in row ? String(row.key) : ""));
        },
        dispose: async () => {
          await drop("VIEW", [`${name}_spend`]);
          await drop("TABLE", [name]);
        },
        hang,
      };
    };
    if (pathname === "/store") {
      return serveSuite(request, (kit) => {
        testStore(() => {
          let time = 1_750_000_000_000;
          const under = store(() => time);
          return {
            ...under,
            advance(ms) {
              time += ms;
            },
          };
        }, kit);
        testD1Store(DB, table, kit);
      });
    }
    if (pathname === "/store-real-time") return serveSuite(request, (kit) => testStore(() => store(), kit));
    // As a Worker would: a handle for each request.
    if (pathname === "/spend") return Response.json(await d1Store(DB, { timeoutMs: 20_000 }).spend(await request.json()));
    return new Response("Not found", { status: 404 });
  },
};
