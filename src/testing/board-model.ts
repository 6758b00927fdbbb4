import { LEVELS, type Level } from "../protocol.ts";
import type { BoardRules, BoardView, ScoreEntry, ScoreRow } from "../scores/board.ts";

/** A row as the model has it: everything but what the board makes up. */
export type ModelRow = Omit<ScoreRow, "rank" | "replay" | "log" | "hidden"> & { hiddenItself: boolean };

/** A row as a board tells it, without what depends on a log. */
type Told = Omit<ScoreRow, "replay">;

const strength = (level: Level): number => LEVELS.indexOf(level);

/** A board as one would write it without a thought for speed: it sorts and counts everything, every time. Always used with one order and operator. */
export class BoardModel {
  readonly rows: ModelRow[] = [];
  readonly banned: Set<string> = new Set();
  readonly #seen = new Set<string>();
  readonly #rules: BoardRules;
  readonly #sign: 1 | -1;

  constructor(rules: BoardRules) {
    this.#rules = rules;
    this.#sign = rules.order === "asc" ? 1 : -1;
  }

  /** Whether a row is shown in a view. */
  isIn(row: ModelRow, { period, tag, min = -Infinity, max = Infinity, minLevel = "claimed" }: BoardView): boolean {
    const listed = row.period === period && row.tag === tag && !row.hiddenItself && !this.banned.has(row.player);
    return listed && row.score >= min && row.score <= max && strength(row.level) >= strength(minLevel);
  }

  /** The shown rows of a view, the best first. */
  shown(view: BoardView): ModelRow[] {
    const compare = (a: ModelRow, b: ModelRow): number => this.#sign * (a.score - b.score) || a.at - b.at || (a.id < b.id ? -1 : 1);
    return this.rows.filter((row) => this.isIn(row, view)).sort(compare);
  }

  rank(score: number, view: BoardView): number {
    return 1 + this.shown(view).filter((other) => this.#sign * (other.score - score) < 0).length;
  }

  /** A row as the board should tell it. */
  told(row: ModelRow, view: Partial<BoardView> = {}): Told {
    const { hiddenItself, ...rest } = row;
    const own = { board: row.board, period: row.period, ...(row.tag !== undefined && { tag: row.tag }) };
    return { ...rest, rank: this.rank(row.score, { ...view, ...own }), hidden: hiddenItself || this.banned.has(row.player) };
  }

  held(player: string, period: string, tag: string | undefined): ModelRow | undefined {
    return this.rows.find((row) => row.player === player && row.period === period && row.tag === tag);
  }

  /** Tells the model what was submitted; `idOf` gives the id that the real board gave the row. */
  async submit(
    { log: _, unique: _unique, tag: wanted, ...entry }: ScoreEntry,
    rules: BoardRules,
    idOf: (period: string, tag?: string) => Promise<string>,
  ): Promise<string> {
    if (this.banned.has(entry.player)) return "banned";
    let first: string | undefined;
    for (const period of rules.periods.map((one) => (typeof one === "string" ? one : one.key))) {
      for (const tag of wanted === undefined ? [undefined] : [undefined, wanted]) {
        const key = JSON.stringify([period, tag, entry.submission]);
        const held = this.held(entry.player, period, tag);
        let status = "repeated";
        if (!this.#seen.has(key)) {
          this.#seen.add(key);
          status = this.#write(held, entry, rules) ? "stored" : "kept";
          if (status === "stored" && !held) {
            this.rows.push({ ...entry, period, ...(tag !== undefined && { tag }), id: await idOf(period, tag), hiddenItself: false });
          }
        }
        first ??= status;
      }
    }
    return first ?? "";
  }

  #write(held: ModelRow | undefined, entry: ScoreEntry, { operator, minLevel = "claimed" }: BoardRules): boolean {
    if (!held) return true;
    const weak = strength(held.level) < strength(minLevel);
    const better = this.#sign * (entry.score - held.score) < 0;
    if (!(weak || operator === "sum" || (operator === "last" ? entry.at >= held.at : better))) return false;
    const added = operator === "sum" && !weak;
    const level = added && strength(held.level) < strength(entry.level) ? held.level : entry.level;
    const score = added ? held.score + entry.score : entry.score;
    delete held.data;
    Object.assign(held, entry, { score, level });
    return true;
  }

  /** The rows that belong to the same submission. */
  family({ player, submission }: ModelRow): ModelRow[] {
    const sums = this.#rules.operator === "sum";
    return this.rows.filter(
      (row) =>
        row.player === player && (sums ? this.#seen.has(JSON.stringify([row.period, row.tag, submission])) : row.submission === submission),
    );
  }

  remove(rows: readonly ModelRow[]): void {
    for (const row of rows) this.rows.splice(this.rows.indexOf(row), 1);
  }

  /** What `claim` does, for rows that are all of the same level or stronger than any minimum. */
  claim(from: string, to: string): number {
    const { operator } = this.#rules;
    const rows = this.rows.filter(({ player }) => player === from);
    for (const row of rows) {
      const held = this.held(to, row.period, row.tag);
      if (held === undefined) row.player = to;
      else {
        const { score, name, hiddenItself } = held;
        const better = this.#sign * (row.score - score);
        const wins = operator === "best" ? better < 0 || (better === 0 && row.at < held.at) : row.at > held.at;
        const level = strength(row.level) < strength(held.level) ? row.level : held.level;
        if (wins) delete held.data;
        if (wins) Object.assign(held, { ...row, id: held.id, player: to, name });
        if (operator === "sum") Object.assign(held, { score: score + row.score, level });
        held.hiddenItself = hiddenItself || row.hiddenItself;
        this.remove([row]);
      }
    }
    if (this.banned.delete(from)) this.banned.add(to);
    return rows.length;
  }
}
