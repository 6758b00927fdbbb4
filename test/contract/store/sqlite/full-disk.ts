// Spends on a disk of 256 KiB until it is full, and further; then makes room, and spends again. Prints what it saw as JSON.
// `tmpfs`: the folder is a file system of 1 MiB, mounted for this process alone, and all but 256 KiB of it is taken. `limit`: the kernel lets no file of this process grow beyond 256 KiB.
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { sqliteBoard, sqliteStore } from "../../../../adapters/sqlite.ts";
import { isGatepassError } from "../../../../src/errors.ts";

const [folder = "", kind = ""] = process.argv.slice(2);
const expiresAt = Date.now() + 3_600_000;
const filler = `${folder}/filler`;
if (kind === "tmpfs") writeFileSync(filler, new Uint8Array(768 * 1024));
const database = new DatabaseSync(`${folder}/store.db`);
const store = sqliteStore(database);
const board = sqliteBoard(database);
const submit = (score: number): Promise<unknown> =>
  board.submit(
    {
      board: "main",
      player: `p${score}`,
      score,
      at: score,
      submission: `s${score}`,
      level: "claimed",
      flags: [],
      name: "Wren",
      log: "x".repeat(9000),
    },
    { periods: ["all"], order: "desc", operator: "best" },
  );
const code = (error: unknown): string => (isGatepassError(error) ? error.code : String(error));

const admitted: string[] = [];
const rejected: string[] = [];
let slowest = 0;
let next = 0;
/** One spend of a key of its own; whether it was admitted. */
async function spend(): Promise<boolean> {
  const key = `${next++}-${"k".repeat(60)}`;
  const begin = performance.now();
  const outcome = await store.spend([{ key, limit: 1, expiresAt }]).then(({ ok }) => ok, code);
  slowest = Math.max(slowest, performance.now() - begin);
  if (outcome === true) admitted.push(key);
  else rejected.push(String(outcome));
  return outcome === true;
}

await submit(1);
while (await spend()) if (next > 100_000) break;
const filledAt = admitted.length;
for (let i = 0; i < 30; i++) await spend();
const others = await Promise.all([store.block("b", expiresAt).then(() => "done", code), submit(2).then(() => "done", code)]);
const rejectedWhileFull = rejected.length;

if (kind === "tmpfs") rmSync(filler);
else spawnSync("prlimit", ["--pid", String(process.pid), "--fsize=unlimited"], { stdio: "inherit" });
const again: boolean[] = [];
for (let i = 0; i < 20; i++) again.push(await spend());
await submit(3);
const rows = (await board.top({ board: "main", period: "all", limit: 10 })).map(({ score }) => score);
database.close();

// Nobody was told "ok" whose use is not there, seen from a connection that knows only the file.
const reopened = new DatabaseSync(`${folder}/store.db`);
const after = sqliteStore(reopened);
let forgotten = 0;
for (const key of admitted) if ((await after.spend([{ key, limit: 1, cost: 0, expiresAt }])).states[0]?.remaining !== 0) forgotten += 1;
const integrity = reopened.prepare("PRAGMA integrity_check").get();
reopened.close();
const codes = [...new Set(rejected)];
process.stdout.write(
  `${JSON.stringify({ filledAt, rejectedWhileFull, codes, others, again: again.every(Boolean), rows, forgotten, integrity, slowest })}\n`,
);
