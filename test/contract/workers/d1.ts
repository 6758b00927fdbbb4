// A Worker that runs the contract suites on its own D1 binding.
import { type D1Client, d1Board } from "../../../adapters/d1.ts";
import { testBoard } from "../../../src/testing/board.ts";
import { serveSuite } from "./suites.ts";

interface Env {
  DB: D1Client;
}

let serial = 0;

export default {
  async fetch(request: Request, { DB }: Env): Promise<Response> {
    // Tables of its own for each test.
    const table = (): string => `t${Date.now()}_${serial++}`;
    return serveSuite(request, (kit) => {
      testBoard(() => {
        const name = table();
        return { board: d1Board(DB, { table: name, timeoutMs: 20_000 }), reopen: () => d1Board(DB, { table: name }) };
      }, kit);
    });
  },
};
