// One of several processes that spend the same keys of one SQLite file: waits for a line on stdin, spends, prints what was admitted.
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import type { Quota } from "../../../src/store/contract.ts";

const [path = "", callers = "1", rounds = "1", expiresAt = "0"] = process.argv.slice(2);
const store = sqliteStore(new DatabaseSync(path), { timeoutMs: 30_000 });
const uses = (key: string, limit: number): Quota => ({ key, limit, expiresAt: Number(expiresAt) });
const crossing = (caller: number, round: number): Quota[] => {
  const [a, b] = [(caller + round) % 5, (caller * 3 + round + 1) % 5];
  const rate: Quota = { key: `r${caller % 2}`, limit: 60, cost: 1 + (round % 2), window: 3600 };
  return a === b ? [uses(`u${a}`, 37), rate] : [uses(`u${a}`, 37), rate, uses(`u${b}`, 37)];
};

process.stdout.write("ready\n");
await once(process.stdin, "data");
const admitted: Record<string, number> = {};
const refused: Quota[][] = [];
let rejected = 0;
await Promise.all(
  Array.from({ length: Number(callers) }, async (_, caller) => {
    for (let round = 0; round < Number(rounds); round++) {
      for (const wanted of [[uses("alone", 100)], crossing(caller, round)]) {
        try {
          const { ok } = await store.spend(wanted);
          if (ok) for (const { key, cost = 1 } of wanted) admitted[key] = (admitted[key] ?? 0) + cost;
          else refused.push(wanted);
        } catch {
          rejected += 1;
        }
      }
    }
  }),
);
process.stdout.write(`${JSON.stringify({ admitted, refused, rejected })}\n`);
process.exit(0);
