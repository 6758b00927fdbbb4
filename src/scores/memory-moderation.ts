import { assertString } from "../util/assertions.ts";
import type { ScoreBoard, ScoreRow } from "./board.ts";
import type { MemoryLists, Row } from "./memory-lists.ts";
import { assertGroup, assertLimit, mergedRow } from "./ranking.ts";

type Moderation = Pick<ScoreBoard, "remove" | "hide" | "ban" | "purge" | "hidden" | "banned" | "rowsOf" | "rename" | "claim">;

/** Moderation and players of a board in memory. `ranked` and `logged` tell a row, without its log and with it. */
export function memoryModeration(
  held: MemoryLists,
  { ranked, logged }: { ranked(row: Row): ScoreRow; logged(row: Row): ScoreRow },
): Moderation {
  const ofPlayer = (player: string, group: string): Row[] => [...held.inGroup(group)].filter((row) => row.player === player);

  /** The rows that a moderator means by one of them. */
  function sameSubmission({ board, player, submission }: Row): Row[] {
    const sums = held.rules.get(board)?.operator === "sum";
    return [...held.rows.values()].filter(
      (row) => row.board === board && row.player === player && (sums ? row.list.seen.has(submission) : row.submission === submission),
    );
  }

  return {
    async remove(id) {
      const row = held.rows.get(id);
      if (row) held.remove(sameSubmission(row));
      return row !== undefined;
    },

    async hide(id, hidden) {
      const row = held.rows.get(id);
      const rows = row ? sameSubmission(row) : [];
      held.update(rows, () => {
        for (const one of rows) one.hiddenItself = hidden;
      });
      return row !== undefined;
    },

    async ban(player, banned, group) {
      assertGroup(group);
      const bans = held.group(group).banned;
      held.update(ofPlayer(player, group), () => (banned ? bans.add(player) : bans.delete(player)));
    },

    async purge(player, group) {
      assertGroup(group);
      const rows = ofPlayer(player, group);
      held.remove(rows);
      held.setName(group, player, undefined);
      return rows.length;
    },

    async hidden({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      const rows = [...held.inGroup(group)].filter((row) => row.hiddenItself && row.id > after);
      return rows
        .sort((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit)
        .map((row) => ranked(row));
    },

    async banned({ group, limit, after = "" }) {
      assertGroup(group);
      assertLimit("limit", limit);
      return [...held.group(group).banned]
        .filter((player) => player > after)
        .sort()
        .slice(0, limit);
    },

    async rowsOf(player, group) {
      assertGroup(group);
      const place = ({ board, period, tag = "" }: Row): string => JSON.stringify([board, period, tag]);
      return ofPlayer(player, group)
        .sort((a, b) => (place(a) < place(b) ? -1 : 1))
        .map(logged);
    },

    async rename(player, name, { group, unique }) {
      assertGroup(group);
      assertString("name", name, 0, 128);
      if (unique !== undefined && !held.isFree(group, unique, player)) return false;
      for (const row of ofPlayer(player, group)) row.name = name;
      held.setName(group, player, unique);
      return true;
    },

    async claim(from, to, group) {
      assertGroup(group);
      if (from === to) return 0;
      const { banned, unique } = held.group(group);
      const rows = ofPlayer(from, group);
      const others = rows.map((row) => row.list.byPlayer.get(to));
      held.update([...rows, ...ofPlayer(to, group)], () => {
        for (const [i, row] of rows.entries()) {
          const other = others[i];
          row.list.byPlayer.delete(from);
          if (other) {
            held.rows.delete(row.id);
            const { log, data, ...values } = mergedRow(other, row, held.rules.get(row.board));
            for (const optional of ["log", "data"] as const) delete other[optional];
            Object.assign(other, values, log !== undefined && { log }, data !== undefined && { data });
            other.hiddenItself ||= row.hiddenItself;
          } else {
            row.player = to;
            row.list.byPlayer.set(to, row);
          }
        }
        if (banned.delete(from)) banned.add(to);
      });
      const name = unique.get(from);
      // Where the other has a unique name of its own, the one of the first is free again.
      held.setName(group, from, undefined);
      if (name !== undefined && !unique.has(to)) held.setName(group, to, name);
      return rows.length;
    },
  };
}
