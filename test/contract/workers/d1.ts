// A Worker that runs the contract suites on its own D1 binding.
import { d1Board } from "../../../adapters/d1.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { type RealD1, testD1Board } from "./d1-board-cases.ts";
import { serveSuite } from "./suites.ts";

interface Env {
  DB: RealD1;
}

let serial = 0;

export default {
  async fetch(request: Request, { DB }: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    // Tables of its own for each test; they go with it, or every later statement would read a longer schema.
    const table = (): string => `t${serial++}`;
    if (pathname === "/board") {
      return serveSuite(request, (kit) => {
        testBoard(() => {
          const name = table();
          return {
            board: d1Board(DB, { table: name, timeoutMs: 20_000 }),
            reopen: () => d1Board(DB, { table: name }),
            async dispose() {
              const tables = ["rules", "lists", "rows", "hist", "seen", "bans"];
              await DB.batch(tables.map((one) => DB.prepare(`DROP TABLE IF EXISTS ${name}_${one}`)));
            },
          };
        }, kit);
        testD1Board(DB, table, kit);
      });
    }
    return new Response("Not found", { status: 404 });
  },
};
