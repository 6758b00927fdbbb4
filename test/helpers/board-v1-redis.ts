import type { Redis } from "ioredis";
import { usesKey } from "../../src/store/keys.ts";
import { OLD_ROWS } from "./board-v1.ts";

/** A row as version 1 had it in Redis. */
interface OldRedisRow {
  id: string;
  board: string;
  period: string;
  player: string;
  score: number;
  at: number;
  submission: string;
  level: number;
  hidden?: boolean;
  name?: string;
  log?: string;
}

/** Writes rows as version 1 did, with `rises` for boards with the order `asc`; of `banned` players nothing is shown. */
export async function writeRedisV1(
  client: Redis,
  prefix: string,
  rows: readonly OldRedisRow[],
  { banned = [], rises = [] }: { banned?: readonly string[]; rises?: readonly string[] } = {},
): Promise<void> {
  const base = `{${prefix}}:`;
  const pipe = client.pipeline();
  for (const { id, board, period, player, score, at, submission, level, hidden = false, name = `name of ${player}`, log } of rows) {
    const [list, boardKey, playerKey] = [usesKey("l", board, period), usesKey("b", board), usesKey("p", player)];
    const data = JSON.stringify([board, period, player, submission, name, ["flag"], log !== undefined]);
    pipe.set(`${base}r:${id}`, `${score} ${at} ${level} ${hidden ? 1 : 0} ${list} ${boardKey} ${playerKey} ${data}`);
    if (log !== undefined) pipe.set(`${base}g:${id}`, JSON.stringify(log));
    pipe.hset(base + boardKey, "order", rises.includes(board) ? "asc" : "desc", list, "1");
    pipe.hset(base + playerKey, list, id);
    pipe.sadd(`${base}s${list}`, JSON.stringify(submission));
    if (hidden || banned.includes(player)) continue;
    for (let from = 0; from <= level; from++)
      pipe.zadd(`${base}z${from}${list}`, rises.includes(board) ? score : -score, String(at).padStart(16, "0") + id);
  }
  for (const player of banned) pipe.hset(base + usesKey("p", player), "ban", "1");
  for (const [error] of (await pipe.exec()) ?? []) if (error) throw error;
}

/** The rows of `boardV1`, in Redis. */
export async function boardV1InRedis(client: Redis, prefix: string, count: number): Promise<void> {
  await writeRedisV1(client, prefix, OLD_ROWS(count), { banned: ["cheat"], rises: ["speed"] });
}
