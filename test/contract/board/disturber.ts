// One of several processes that do everything that a board can do to the same few players and lists: a `redis:` address, and a number of its own.
import { createClient } from "redis";
import { redisBoard } from "../../../adapters/redis.ts";
import { isGatepassError } from "../../../src/errors.ts";
import { LEVELS } from "../../../src/protocol.ts";
import type { BoardRules } from "../../../src/scores/board.ts";

const [, , where = "", own = "0"] = process.argv;
const client = await createClient({ url: where }).connect();
const board = redisBoard(client, { timeoutMs: 20_000 });
const GROUPS = ["one", "two"];

/** Numbers that differ from process to process, and are the same in each run. */
let state = 1 + Number(own) * 7919;
function pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
  state = (state * 48_271) % 2_147_483_647;
  const one = from[state % from.length];
  if (one === undefined) throw new Error("Nothing to pick from");
  return one;
}
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const player = (): string => `p${pick(numbers(8))}`;
const name = (): string => `name${pick(numbers(5))}`;

async function rowOf(): Promise<string> {
  const rows = await board.top({ board: pick(["a", "b", "c"]), period: pick(["all", "week"]), limit: 20 });
  return rows.length === 0 ? "none" : pick(rows).id;
}

async function submit(i: number): Promise<unknown> {
  const rules: BoardRules = {
    periods: ["all", { key: "week", forget: 1 + pick(numbers(3)) }],
    order: pick(["desc", "asc"]),
    operator: pick(["best", "last", "sum"]),
    minLevel: pick(LEVELS),
    group: pick(GROUPS),
  };
  const { length } = pick(["x", "", ""]);
  const entry = {
    board: pick(["a", "b", "c"]),
    player: player(),
    score: pick(numbers(50)),
    at: i,
    submission: `${own}-${pick(numbers(400))}`,
  };
  const more = {
    level: pick(LEVELS),
    flags: [],
    name: name(),
    ...(length > 0 && { tag: "tag", log: "log" }),
    ...(i % 3 === 0 && { unique: name() }),
  };
  return board.submit({ ...entry, ...more }, rules);
}

for (let i = 0; i < 500; i++) {
  const acts: (() => Promise<unknown>)[] = [
    ...numbers(12).map(() => () => submit(i)),
    () => board.ban(player(), pick([true, false]), pick(GROUPS)),
    () => board.claim(player(), player(), pick(GROUPS)),
    () => board.rename(player(), name(), { group: pick(GROUPS), unique: name() }),
    async () => board.hide(await rowOf(), pick([true, false])),
    async () => board.remove(await rowOf()),
    () => board.hidden({ group: pick(GROUPS), limit: 3 }),
    () => (i % 7 === 0 ? board.purge(player(), pick(GROUPS)) : board.count({ board: "a", period: "all" })),
    () => (i % 11 === 0 ? board.clear(pick(["a", "b", "c"]), "week") : board.sweep(20, 0)),
    () => (i % 13 === 0 ? board.sweep(50, 2) : board.check([])),
  ];
  await Promise.all(numbers(4).map(() => pick(acts)())).catch((error: unknown) => {
    if (!isGatepassError(error, "ERR_BOARD_FULL")) throw error;
  });
}
await client.close();
