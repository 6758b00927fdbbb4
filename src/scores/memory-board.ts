import { assertInteger } from "../util/assertions.ts";
import { assertOptions, type Rules } from "../util/options.ts";
import { randomId } from "../util/random.ts";
import type { BoardRules, BoardView, ScoreBoard, ScoreEntry, ScoreRow, SubmitResult } from "./board.ts";
import { heldRules, outsideProblem, rulesProblem } from "./board-check.ts";
import { type List, MemoryLists, type Row } from "./memory-lists.ts";
import { memoryModeration } from "./memory-moderation.ts";
import { assertEntry, assertLimit, assertPlayers, assertView, nextScore, periodsIn, scoreRange, viewOf, withRanks } from "./ranking.ts";
import { comparePlaces } from "./window.ts";

/** Options of {@link memoryBoard}. */
export interface MemoryBoardOptions {
  /** Random bytes for row ids. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
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
  const held = new MemoryLists();
  const bare = (row: Row): Omit<ScoreRow, "rank"> => bareRow(row, !held.isShown(row));
  const ranked = (row: Row, view?: Partial<BoardView>): ScoreRow => ({ ...bare(row), rank: held.shownIn(row.list, view).rank(row.score) });
  const logged = (row: Row): ScoreRow => ({ ...ranked(row), ...(row.log !== undefined && { log: row.log }) });

  function store(list: List, entry: ScoreEntry, next: { score: number; level: ScoreRow["level"] }): void {
    const { player, at, submission, name, flags, log, data } = entry;
    const values = {
      ...next,
      at,
      submission,
      name,
      flags: [...flags],
      ...(log !== undefined && { log }),
      ...(data !== undefined && { data }),
    };
    let row = list.byPlayer.get(player);
    if (!row) {
      const { board, period, tag } = list;
      const id = randomId(options.random);
      row = { ...values, id, board, period, ...(tag !== undefined && { tag }), player, list, hiddenItself: false };
    }
    const placed = row;
    held.update([placed], () => {
      for (const optional of ["log", "data"] as const) delete placed[optional];
      Object.assign(placed, values);
      list.byPlayer.set(player, placed);
      held.rows.set(placed.id, placed);
    });
  }

  /** Keeps the rules of the board. Where its group is another one now, its rows are shown or not by the bans of that one. */
  function setRules(board: string, given: BoardRules): void {
    const rules = heldRules(given);
    const known = held.rules.get(board);
    const rows = known && known.group !== rules.group ? [...held.rows.values()].filter((row) => row.board === board) : [];
    held.update(rows, () => held.rules.set(board, rules));
  }

  return {
    async submit(entry, rules) {
      assertEntry(entry, rules);
      const { player, unique, submission } = entry;
      const { group = "" } = rules;
      const none = { id: "", rank: 0, best: false };
      if (held.group(group).banned.has(player)) return { status: "banned", ...none };
      if (unique !== undefined && !held.isFree(group, unique, player)) return { status: "taken", ...none };
      setRules(entry.board, rules);
      let answer: SubmitResult | undefined;
      let stored = false;
      for (const { key, forget = Infinity } of periodsIn(rules)) {
        for (const tag of entry.tag === undefined ? [undefined] : [undefined, entry.tag]) {
          const list = held.make(entry.board, key, tag, forget);
          let status: SubmitResult["status"] = "repeated";
          if (!list.seen.has(submission)) {
            list.seen.add(submission);
            const next = nextScore(list.byPlayer.get(player), entry, rules);
            status = next ? "stored" : "kept";
            if (next) store(list, entry, next);
            stored ||= next !== null;
          }
          if (answer) continue;
          const row = list.byPlayer.get(player);
          answer = { status, ...none };
          if (row)
            answer = { status, id: row.id, rank: held.shownIn(list, viewOf(rules)).rank(row.score), best: row.submission === submission };
        }
      }
      if (stored && unique !== undefined) held.setName(group, player, unique);
      return answer ?? { status: "kept", ...none };
    },

    async top(query) {
      assertLimit("limit", query.limit);
      assertView(query);
      const list = held.find(query);
      if (!list) return [];
      const shown = held.shownIn(list, query);
      const from = query.after ? shown.positionOf(query.after, true) : 0;
      const page = shown.slice(from, from + query.limit);
      return withRanks(page.map(bare), (index) => shown.rank(page[index]?.score ?? 0));
    },

    async around(id, n, view = {}) {
      assertLimit("n", n, 0);
      assertView(view);
      const row = held.rows.get(id);
      if (!row || !held.isIn(row, view)) return [];
      const shown = held.shownIn(row.list, view);
      const at = shown.positionOf(row);
      const page = shown.slice(at - n, at + n + 1);
      return withRanks(page.map(bare), (index) => shown.rank(page[index]?.score ?? 0));
    },

    async near(query) {
      const { score, n } = query;
      assertLimit("n", n, 0);
      assertInteger("score", score, Number.MIN_SAFE_INTEGER);
      assertView(query);
      const list = held.find(query);
      if (!list) return { rank: 1, rows: [] };
      const shown = held.shownIn(list, query);
      const at = shown.positionOf({ score, at: Infinity, id: "" });
      const page = shown.slice(at - n, at + n);
      return { rank: shown.rank(score), rows: withRanks(page.map(bare), (index) => shown.rank(page[index]?.score ?? 0)) };
    },

    async count(query) {
      assertView(query);
      const list = held.find(query);
      return list ? held.shownIn(list, query).length : 0;
    },

    async find(id) {
      const row = held.rows.get(id);
      return row ? logged(row) : null;
    },

    async ofPlayer(query) {
      assertView(query);
      const row = held.find(query)?.byPlayer.get(query.player);
      return row ? ranked(row, query) : null;
    },

    async ofPlayers(query) {
      assertPlayers(query.players);
      assertView(query);
      const list = held.find(query);
      const rows = [...new Set(query.players)].flatMap((player) => list?.byPlayer.get(player) ?? []).filter((row) => held.isIn(row, query));
      const order = query.order ?? held.rules.get(query.board)?.order ?? "desc";
      const compare = (a: Row, b: Row): number => (order === "asc" || a.score === b.score ? comparePlaces(a, b) : b.score - a.score);
      return rows.sort(compare).map((row) => ranked(row, query));
    },

    ...memoryModeration(held, { ranked, logged }),

    async clear(board, period) {
      const gone = [...held.lists.values()].filter((list) => list.board === board && (period === undefined || list.period === period));
      for (const list of gone) held.drop(list);
      return gone.length;
    },

    async sweep(max = 1000, now = Date.now()) {
      assertInteger("max", max, 1);
      let gone = 0;
      for (const list of held.lists.values()) {
        if (gone >= max) break;
        if (list.forget <= now) gone += held.drop(list);
      }
      return gone;
    },

    async check(boards = []) {
      return boards.flatMap(({ board, rules }) => {
        const { min, max } = scoreRange(rules);
        const outside = [...held.rows.values()].filter((row) => row.board === board && (row.score < min || row.score > max));
        return [...outsideProblem(board, outside.length, rules), ...rulesProblem(board, held.rules.get(board), rules)];
      });
    },
  };
}

function bareRow({ list: _list, hiddenItself: _hidden, log, ...row }: Row, hidden: boolean): Omit<ScoreRow, "rank"> {
  return { ...row, flags: [...row.flags], hidden, replay: log !== undefined };
}
