import { assertOptions, type Rules } from "../util/options.ts";
import { randomId } from "../util/random.ts";
import type { Order, ScoreBoard, ScoreRow, SubmitResult } from "./board.ts";
import { assertEntry, assertLimit, keyOf, levelNumber, nextScore, withRanks } from "./ranking.ts";
import { Sorted } from "./sorted.ts";

/** Options of {@link memoryBoard}. */
export interface MemoryBoardOptions {
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

interface Row extends Omit<ScoreRow, "rank" | "hidden" | "replay"> {
  list: List;
  key: number;
  hiddenItself: boolean;
}

/** One board in one period. */
interface List {
  board: string;
  /** What is shown, best first. */
  shown: Sorted<Row>;
  byPlayer: Map<string, Row>;
  seen: Set<string>;
}

/**
 * A board in this process's memory: for tests, for development, and where scores may be lost with the process. It grows with its rows and submissions.
 *
 * @throws {TypeError} an unknown option
 *
 * @example
 * ```ts
 * import { memoryBoard } from "gatepass/scores";
 * const board = memoryBoard();
 * const entry = { board: "main", player: "p1", score: 7, at: 0, submission: "s1", level: "claimed", flags: [], name: "Calm Heron" } as const;
 * const { rank } = await board.submit(entry, { periods: ["all"], order: "desc", operator: "best" });
 * console.assert(rank === 1);
 * ```
 */
export function memoryBoard(options: MemoryBoardOptions = {}): ScoreBoard {
  assertOptions("memoryBoard", options, { random: "function" } satisfies Rules<MemoryBoardOptions>);
  const lists = new Map<string, List>();
  const rows = new Map<string, Row>();
  const banned = new Set<string>();
  const orders = new Map<string, Order>();

  const keyIn = (board: string, period: string): string => `${board.length}:${board}${period}`;
  const found = (board: string, period: string): List | undefined => lists.get(keyIn(board, period));

  function listOf(board: string, period: string): List {
    let list = found(board, period);
    if (list === undefined) {
      list = { board, shown: new Sorted(compare), byPlayer: new Map(), seen: new Set() };
      lists.set(keyIn(board, period), list);
    }
    return list;
  }

  const isShown = (row: Row): boolean => !row.hiddenItself && !banned.has(row.player);
  const rankOf = (row: Row): number => 1 + row.list.shown.countBefore((other) => other.key >= row.key);

  /** Takes a row out of its list while `change` is made, and puts it back where it now belongs. */
  function update(row: Row, change: () => void): void {
    if (isShown(row)) row.list.shown.delete(row);
    change();
    if (isShown(row) && rows.has(row.id)) row.list.shown.add(row);
  }

  function drop(row: Row): void {
    update(row, () => {
      rows.delete(row.id);
      row.list.byPlayer.delete(row.player);
    });
  }

  function setOrder(board: string, order: Order): void {
    const known = orders.get(board);
    orders.set(board, order);
    if (known === undefined || known === order) return;
    for (const row of rows.values()) if (row.board === board) row.key = keyOf(row.score, order);
    for (const list of lists.values()) if (list.board === board) list.shown.sort();
  }

  const bare = ({ list: _list, key: _key, hiddenItself: _hidden, log, ...row }: Row): Omit<ScoreRow, "rank"> => ({
    ...row,
    hidden: hiddenOf(row.id),
    replay: log !== undefined,
  });
  const hiddenOf = (id: string): boolean => {
    const row = rows.get(id);
    return row === undefined || !isShown(row);
  };
  const ofPlayerIn = (player: string): Row[] => [...lists.values()].flatMap((list) => list.byPlayer.get(player) ?? []);

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      if (banned.has(entry.player)) return { status: "banned", id: "", rank: 0, best: false };
      setOrder(entry.board, rules.order);
      let answer: SubmitResult | undefined;
      for (const period of rules.periods) {
        const list = listOf(entry.board, period);
        let row = list.byPlayer.get(entry.player);
        let status: SubmitResult["status"] = "repeated";
        if (!list.seen.has(entry.submission)) {
          list.seen.add(entry.submission);
          const score = nextScore(row, entry, rules);
          status = score === null ? "kept" : "stored";
          if (score !== null) {
            const { player, at, submission, level, name, log } = entry;
            const values = { score, key: keyOf(score, rules.order), at, submission, level, name, flags: [...entry.flags], log };
            if (row === undefined) {
              row = { ...strip(values), id: randomId(options.random), board: entry.board, period, player, list, hiddenItself: false };
              list.byPlayer.set(player, row);
              rows.set(row.id, row);
              list.shown.add(row);
            } else {
              const held = row;
              update(held, () => {
                delete held.log;
                Object.assign(held, strip(values));
              });
            }
          }
        }
        answer ??= row
          ? { status, id: row.id, rank: rankOf(row), best: row.submission === entry.submission }
          : { status, id: "", rank: 0, best: false };
      }
      return answer ?? { status: "kept", id: "", rank: 0, best: false };
    },

    async top({ board, period, limit, minLevel = "claimed" }) {
      assertLimit("limit", limit);
      const best: Row[] = [];
      for (const row of found(board, period)?.shown ?? []) {
        if (levelNumber(row.level) >= levelNumber(minLevel) && best.push(row) === limit) break;
      }
      return withRanks(best.map(bare), (index) => index + 1);
    },

    async around(id, n) {
      assertLimit("n", n, 0);
      const row = rows.get(id);
      if (row === undefined || !isShown(row)) return [];
      const at = row.list.shown.indexOf(row);
      const near = row.list.shown.slice(Math.max(0, at - n), at + n + 1);
      return withRanks(near.map(bare), (index) => rankOf(near[index] ?? row));
    },

    async find(id) {
      const row = rows.get(id);
      return row ? { ...bare(row), rank: rankOf(row), ...(row.log === undefined ? {} : { log: row.log }) } : null;
    },

    async ofPlayer({ board, period, player }) {
      const row = found(board, period)?.byPlayer.get(player);
      return row ? { ...bare(row), rank: rankOf(row) } : null;
    },

    async remove(id) {
      const row = rows.get(id);
      if (row) drop(row);
      return row !== undefined;
    },

    async hide(id, hidden) {
      const row = rows.get(id);
      if (row) update(row, () => Object.assign(row, { hiddenItself: hidden }));
      return row !== undefined;
    },

    async ban(player, ban) {
      const held = ofPlayerIn(player);
      const shown = held.filter((row) => !row.hiddenItself);
      if (ban === banned.has(player)) return;
      if (ban) {
        for (const row of shown) row.list.shown.delete(row);
        banned.add(player);
      } else {
        banned.delete(player);
        for (const row of shown) row.list.shown.add(row);
      }
    },

    async purge(player) {
      const held = ofPlayerIn(player);
      for (const row of held) drop(row);
      return held.length;
    },
  };
}

/** Best first; of equals the earlier; then by id, which is random but stays. */
function compare(a: Row, b: Row): number {
  return a.key - b.key || a.at - b.at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** Without the log when there is none: an optional member is absent, not undefined. */
function strip<T extends { log: string | undefined }>({ log, ...rest }: T): Omit<T, "log"> & { log?: string } {
  return log === undefined ? rest : { ...rest, log };
}
