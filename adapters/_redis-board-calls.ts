import type { BoardPlace, BoardView, ScoreBoard, ScoreRow } from "../src/scores/board.ts";
import { assertGroup, assertLimit, assertPlayers, assertView, levelNumber } from "../src/scores/ranking.ts";
import { usesKey } from "../src/store/keys.ts";
import { assertInteger, assertString } from "../src/util/assertions.ts";
import { jsonText, listOf, numberOf, readHidden, readNear, readPage, readWhole, readWholes, textOf } from "./_redis-board-answer.ts";
import type { Run } from "./_redis-board-run.ts";

type Reading = "top" | "around" | "near" | "count" | "find" | "ofPlayer" | "ofPlayers" | "hidden" | "banned" | "rowsOf";

export function readingOf(run: Run): Pick<ScoreBoard, Reading> {
  const players = (view: BoardView, of: readonly string[], any: boolean): Promise<ScoreRow[]> => {
    const read = (answer: unknown): ScoreRow[] => {
      const [rises, rows] = listOf(answer);
      return listOf(answer).length === 0 ? [] : readWholes(rows, of.length).sort(comparing(numberOf(rises) === 1));
    };
    return run(read, "ofPlayers", boardKey(view.board), ...viewValues(view), any ? 1 : 0, ...of.map(playerKey));
  };
  return {
    async top({ limit, after, ...view }) {
      assertLimit("limit", limit);
      assertView(view);
      const place = after ? [after.score, memberOf(after)] : [];
      return run((answer) => readPage(answer, limit), "top", boardKey(view.board), ...viewValues(view), limit, ...place);
    },

    async around(id, n, view = {}) {
      assertLimit("n", n, 0);
      assertView(view);
      return isId(id) ? run((answer) => readPage(answer, 2 * n + 1), "around", id, id, ...partValues(view), n) : [];
    },

    async near({ score, n, ...view }) {
      assertLimit("n", n, 0);
      assertInteger("score", score, Number.MIN_SAFE_INTEGER);
      assertView(view);
      return run((answer) => readNear(answer, 2 * n), "near", boardKey(view.board), ...viewValues(view), n, score);
    },

    async count(view) {
      assertView(view);
      return run(numberOf, "count", boardKey(view.board), ...viewValues(view));
    },

    async find(id) {
      return isId(id) ? run(readWhole, "find", id, id) : null;
    },

    async ofPlayer({ player, ...view }) {
      assertView(view);
      const [row] = await players(view, [player], true);
      return row ?? null;
    },

    async ofPlayers({ players: of, ...view }) {
      assertPlayers(of);
      assertView(view);
      return players(view, [...new Set(of)], false);
    },

    async hidden({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      const rows: ScoreRow[] = [];
      for (let from = after, more = true; more && rows.length < limit; ) {
        const left = limit - rows.length;
        const read = (answer: unknown): ReturnType<typeof readHidden> => readHidden(answer, left, from);
        const page = await run(read, "hidden", "", groupKey(group), left, from);
        rows.push(...page.rows);
        from = page.next;
        more = from !== "";
      }
      return rows;
    },

    async banned({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      const read = (answer: unknown): string[] => listOf(answer).map((one) => jsonText(`"${textOf(one)}"`));
      return run(read, "banned", "", groupKey(group), limit, asJson(after).slice(1, -1));
    },

    async rowsOf(player, group) {
      assertGroup(group);
      const place = ({ board, period, tag = "" }: ScoreRow): string[] => [board, period, tag];
      const rows = await run((answer) => readWholes(answer, Infinity), "rowsOf", playerKey(player), playerKey(player), groupKey(group));
      return rows.sort((a, b) => compareTexts(place(a), place(b)));
    },
  };
}

export function moderationOf(run: Run): Pick<ScoreBoard, "remove" | "hide" | "ban" | "purge" | "rename" | "claim"> {
  return {
    async remove(id) {
      return isId(id) && (await run(numberOf, "remove", id, id)) > 0;
    },

    async hide(id, hidden) {
      return isId(id) && (await run(numberOf, "hide", id, id, hidden ? 1 : 0)) > 0;
    },

    async ban(player, banned, group) {
      assertGroup(group);
      const key = playerKey(player);
      await run(numberOf, "ban", key, key, groupKey(group), asJson(player), banned ? 1 : 0);
    },

    async purge(player, group) {
      assertGroup(group);
      const key = playerKey(player);
      return run(numberOf, "purge", key, key, groupKey(group), asJson(player));
    },

    async rename(player, name, { group, unique }) {
      assertGroup(group);
      assertString("name", name, 0, 128);
      const key = playerKey(player);
      const form = unique === undefined ? "" : asJson(unique);
      return (await run(numberOf, "rename", key, key, groupKey(group), asJson(player), asJson(name), form)) > 0;
    },

    async claim(from, to, group) {
      assertGroup(group);
      if (from === to) return 0;
      const keys = [playerKey(from), groupKey(group), playerKey(to)];
      return run(numberOf, "claim", `${playerKey(from)} ${playerKey(to)}`, ...keys, asJson(from), asJson(to));
    },
  };
}

/** A list and its view, as the script reads them. */
export function viewValues(view: BoardView): (string | number)[] {
  return [listKey(view), ...partValues(view)];
}

function partValues({ order, min, max, minLevel = "claimed" }: Partial<BoardView>): (string | number)[] {
  return [order ?? "", min ?? "", max ?? "", levelNumber(minLevel)];
}

/** A place within equal scores, as the sorted sets hold it. */
const memberOf = ({ at, id }: BoardPlace): string => String(at).padStart(16, "0") + id;

/** The best first; of equals the earlier; then by id. */
function comparing(rises: boolean): (a: ScoreRow, b: ScoreRow) => number {
  return (a, b) => (rises ? a.score - b.score : b.score - a.score) || a.at - b.at || (a.id < b.id ? -1 : 1);
}

function compareTexts(a: readonly string[], b: readonly string[]): number {
  for (const [i, one] of a.entries()) {
    const other = b[i] ?? "";
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}

export const playerKey = (player: string): string => usesKey("p", player);
export const boardKey = (board: string): string => usesKey("b", board);
export const groupKey = (group: string): string => usesKey("g", group);
export const listKey = ({ board, period, tag }: { board: string; period: string; tag?: string | undefined }): string =>
  tag === undefined ? usesKey("l", board, period) : usesKey("t", board, JSON.stringify([period, tag]));

/** An id as we make them: others are not looked up. */
function isId(id: string): boolean {
  return /^[\w-]{1,64}$/.test(id);
}

/** As JSON writes a text: a lone surrogate comes back as it was, where UTF-8 would make one replacement character of all of them. */
export function asJson(text: string): string {
  return JSON.stringify(text);
}
