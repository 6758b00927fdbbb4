import { LEVELS } from "../protocol.ts";
import type { BoardView, ScoreRow } from "./board.ts";
import type { HeldRules } from "./board-check.ts";
import { levelNumber } from "./ranking.ts";
import { Sorted } from "./sorted.ts";
import { comparePlaces, Window } from "./window.ts";

/** A row in memory. */
export interface Row extends Omit<ScoreRow, "rank" | "hidden" | "replay"> {
  list: List;
  hiddenItself: boolean;
}

/** One board in one period, of all or of one tag. */
export interface List {
  board: string;
  period: string;
  tag: string | undefined;
  /** Milliseconds since the epoch. */
  forget: number;
  /** What is shown, by the weakest level that counts. */
  shown: readonly Sorted<Row>[];
  byPlayer: Map<string, Row>;
  seen: Set<string>;
}

/** A group's bans and names. */
export interface Group {
  banned: Set<string>;
  /** Players by their unique names. */
  names: Map<string, string>;
  /** Unique names by their players. */
  unique: Map<string, string>;
}

/** All that a memory board holds. */
export class MemoryLists {
  readonly lists: Map<string, List> = new Map();
  readonly rows: Map<string, Row> = new Map();
  /** Of each board, from its last submission. */
  readonly rules: Map<string, HeldRules> = new Map();
  readonly #groups: Map<string, Group> = new Map();

  find({ board, period, tag }: Pick<BoardView, "board" | "period" | "tag">): List | undefined {
    return this.lists.get(JSON.stringify([board, period, tag]));
  }

  /** The list, made where there is none; it is kept as long as any submission asks. */
  make(board: string, period: string, tag: string | undefined, forget: number): List {
    const known = this.find({ board, period, ...(tag !== undefined && { tag }) });
    if (known) {
      known.forget = Math.max(known.forget, forget);
      return known;
    }
    const shown = LEVELS.map(() => new Sorted<Row>(comparePlaces));
    const list: List = { board, period, tag, forget, shown, byPlayer: new Map(), seen: new Set() };
    this.lists.set(JSON.stringify([board, period, tag]), list);
    return list;
  }

  /** Whether a name is free for a player of the group, or its own. */
  isFree(group: string, name: string, player: string): boolean {
    return (this.group(group).names.get(name) ?? player) === player;
  }

  /** The unique name of a player from now on, in place of the one before. */
  setName(group: string, player: string, name: string | undefined): void {
    const { names, unique } = this.group(group);
    names.delete(unique.get(player) ?? "");
    unique.delete(player);
    if (name === undefined) return;
    names.set(name, player);
    unique.set(player, name);
  }

  drop(list: List): number {
    for (const { id } of list.byPlayer.values()) this.rows.delete(id);
    this.lists.delete(JSON.stringify([list.board, list.period, list.tag]));
    return list.byPlayer.size + list.seen.size;
  }

  group(name: string): Group {
    let group = this.#groups.get(name);
    if (!group) {
      group = { banned: new Set(), names: new Map(), unique: new Map() };
      this.#groups.set(name, group);
    }
    return group;
  }

  groupOf({ board }: { board: string }): Group {
    return this.group(this.rules.get(board)?.group ?? "");
  }

  /** Every row on the boards of a group. */
  *inGroup(group: string): Generator<Row> {
    for (const list of this.lists.values()) {
      if ((this.rules.get(list.board)?.group ?? "") === group) yield* list.byPlayer.values();
    }
  }

  isShown(row: Row): boolean {
    return this.rows.has(row.id) && !row.hiddenItself && !this.groupOf(row).banned.has(row.player);
  }

  /** Makes a change that may move rows in their lists, or in or out of them. */
  update(rows: readonly Row[], change: () => void): void {
    for (const row of rows) if (this.isShown(row)) for (const sorted of levels(row)) sorted.delete(row);
    change();
    for (const row of rows) if (this.isShown(row)) for (const sorted of levels(row)) sorted.add(row);
  }

  remove(rows: readonly Row[]): void {
    this.update(rows, () => {
      for (const row of rows) {
        this.rows.delete(row.id);
        row.list.byPlayer.delete(row.player);
      }
    });
  }

  shownIn(list: List, view: Partial<BoardView> = {}): Window<Row> {
    const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER, minLevel = "claimed" } = view;
    const order = view.order ?? this.rules.get(list.board)?.order ?? "desc";
    const rows = list.shown[levelNumber(minLevel)];
    if (!rows) throw new RangeError(`Invalid "minLevel": ${minLevel}`);
    return new Window(rows, { order, min, max });
  }

  /** Whether a row is shown in a view. */
  isIn(row: Row, { min = -Infinity, max = Infinity, minLevel = "claimed" }: Partial<BoardView>): boolean {
    return this.isShown(row) && row.score >= min && row.score <= max && levelNumber(row.level) >= levelNumber(minLevel);
  }
}

/** The sorted lists that a row of its level belongs to. */
function levels(row: Row): readonly Sorted<Row>[] {
  return row.list.shown.slice(0, levelNumber(row.level) + 1);
}
