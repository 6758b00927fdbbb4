/** A process that spends and submits on the SQLite file given, and says so after each, until it is killed. */
import { appendFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { sqliteBoard, sqliteStore } from "../../../adapters/sqlite.ts";

const [file = "", log = ""] = process.argv.slice(2);
const client = new DatabaseSync(file, { timeout: 5000 });
const store = sqliteStore(client, { timeoutMs: 20_000 });
const board = sqliteBoard(client, { timeoutMs: 20_000 });
for (let i = 0; ; i++) {
  await store.spend([
    { key: "uses", limit: 1_000_000, expiresAt: 4_000_000_000_000 },
    { key: "rate", limit: 1_000_000, window: 86_400 },
  ]);
  appendFileSync(log, ".");
  const submission = `${process.pid}-${i}`;
  const entry = {
    board: "b",
    player: `p${i % 40}`,
    score: (i * 7919) % 65_536,
    at: i,
    submission,
    level: "claimed",
    flags: [],
    name: "n",
  } as const;
  await board.submit(entry, { periods: ["all", "day"], order: "desc", operator: "best", max: 65_535 });
}
