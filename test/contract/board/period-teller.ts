// One of several processes that run the job `periods`: the file, the time (ms), and `hang` to stand still while a period's end is told.
import { DatabaseSync } from "node:sqlite";
import { sqliteBoard } from "../../../adapters/_sqlite-board.ts";
import { sqliteStore } from "../../../adapters/sqlite.ts";
import { createGate } from "../../../src/index.ts";
import { scores } from "../../../src/scores/index.ts";

const [, , file = "", now = "0", mode = ""] = process.argv;
const clock = (): number => Number(now);
const open = (): DatabaseSync => new DatabaseSync(file);
const gate = createGate({
  secrets: "a signing secret of at least 32 bytes, shared by all",
  clock,
  turnstile: { secret: "1x0000000000000000000000000000000AA", allowedHostnames: ["localhost"], allowTestKeys: true },
  store: sqliteStore(open(), { clock, timeoutMs: 20_000 }),
  features: [
    scores({
      board: sqliteBoard(open(), { timeoutMs: 20_000 }),
      boards: { main: { periods: ["all", "day"] } },
      async onPeriodEnd({ board, period, top, idempotencyKey }) {
        process.stdout.write(`${JSON.stringify([board, period, top.map(({ score }) => score), idempotencyKey])}\n`);
        if (mode === "hang") await new Promise((resolve) => setTimeout(resolve, 600_000));
      },
    }),
  ],
});
await gate.run("periods");
