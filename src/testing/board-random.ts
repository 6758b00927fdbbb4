import { LEVELS } from "../protocol.ts";
import type { BoardRules, BoardView, ScoreBoard, ScoreEntry } from "../scores/board.ts";
import { BoardModel, type ModelRow } from "./board-model.ts";

interface Plan {
  seed: number;
  steps: number;
  players: number;
  /** How many different scores there are. */
  scores: number;
}

const TAGS = [undefined, undefined, "red", "blue"] as const;

/** Random actions on a board, each mirrored in the model; whatever can be asked must then be answered alike. Tells the first difference. */
export async function compareWithModel(board: ScoreBoard, rules: BoardRules, plan: Plan): Promise<string | null> {
  const run = new Run(board, rules, plan);
  for (let step = 0; step < plan.steps; step++) {
    const wrong = (await run.act(step)) ?? (await run.ask());
    if (wrong) return `seed ${plan.seed}, step ${step}: ${wrong}`;
  }
  return null;
}

class Run {
  readonly #board: ScoreBoard;
  readonly #rules: BoardRules;
  readonly #plan: Plan;
  readonly #model: BoardModel;
  readonly #below: (n: number) => number;
  readonly #periods: readonly string[];

  constructor(board: ScoreBoard, rules: BoardRules, plan: Plan) {
    this.#board = board;
    this.#rules = rules;
    this.#plan = plan;
    this.#model = new BoardModel(rules);
    this.#below = generator(plan.seed);
    this.#periods = rules.periods.map((one) => (typeof one === "string" ? one : one.key));
  }

  /** One random change. */
  async act(step: number): Promise<string | null> {
    const [board, model, below] = [this.#board, this.#model, this.#below];
    const action = below(22);
    const player = `player ${below(this.#plan.players)}`;
    const row = this.#anyRow();
    if (action < 13 || row === undefined) return this.#submit(step, player);
    if (action < 15) {
      const hidden = below(2) === 0;
      for (const one of model.family(row)) one.hiddenItself = hidden;
      return differ("hide", await board.hide(row.id, hidden), true);
    }
    if (action < 17) {
      const ban = below(2) === 0;
      if (ban) model.banned.add(player);
      else model.banned.delete(player);
      await board.ban(player, ban, "");
      return null;
    }
    if (action < 19) {
      model.remove(model.family(row));
      return differ("remove", await board.remove(row.id), true);
    }
    if (action < 20) {
      const gone = model.rows.filter((other) => other.player === player);
      model.remove(gone);
      return differ("purge", await board.purge(player, ""), gone.length);
    }
    if (action < 21) {
      const rows = model.rows.filter((other) => other.player === player);
      for (const one of rows) one.name = `renamed ${step}`;
      return differ("rename", await board.rename(player, `renamed ${step}`, { group: "" }), true);
    }
    return row.player === player ? null : differ("claim", await board.claim(row.player, player, ""), model.claim(row.player, player));
  }

  async #submit(step: number, player: string): Promise<string | null> {
    const [below, model] = [this.#below, this.#model];
    const { min = 0, max = 0xffffff } = this.#rules;
    const spacing = Math.max(1, Math.floor((max - min) / this.#plan.scores));
    const tag = TAGS[below(TAGS.length)];
    const entry: ScoreEntry = {
      board: "main",
      player,
      score: Math.min(max, min + below(this.#plan.scores) * spacing),
      at: 1_000 + below(4),
      submission: `s${below(this.#plan.steps)}`,
      level: LEVELS[below(4)] ?? "claimed",
      flags: below(2) ? ["slow"] : [],
      name: `name ${step}`,
      ...(below(2) && { data: `{"step":${step}}` }),
      ...(tag !== undefined && { tag }),
    };
    const rules = { ...this.#rules, periods: below(3) ? this.#periods : this.#periods.slice(0, 1) };
    const result = await this.#board.submit(entry, rules);
    const idOf = async (period: string, ofTag?: string): Promise<string> =>
      (await this.#board.ofPlayer({ ...view(period, ofTag), player }))?.id ?? "";
    const status = await model.submit(entry, rules, idOf);
    const held = model.held(player, this.#periods[0] ?? "", undefined);
    const { min: low, max: high } = summed(this.#rules);
    const rank = held && model.rank(held.score, { ...view(held.period), min: low, max: high });
    const expected =
      status === "banned" || held === undefined
        ? { status, id: "", rank: 0, best: false }
        : { status, id: held.id, rank, best: held.submission === entry.submission };
    return differ("submit", result, expected);
  }

  /** Asks everything that can be asked about a random view, and compares. */
  async ask(): Promise<string | null> {
    const [board, model, below] = [this.#board, this.#model, this.#below];
    const asked = this.#anyView();
    const shown = model.shown(asked);
    const told = (rows: readonly ModelRow[]): object[] => rows.map((row) => ({ ...model.told(row, asked), replay: false }));
    const limit = 1 + below(12);
    const place = this.#anyRow() ?? { score: 0, at: 0, id: "" };
    const score = place.score + below(3) - 1;
    const n = below(5);
    const wrong =
      differ("top", await board.top({ ...asked, limit }), told(shown.slice(0, limit))) ??
      differ("count", await board.count(asked), shown.length) ??
      differ("after", await board.top({ ...asked, limit, after: place }), told(this.#behind(shown, place).slice(0, limit))) ??
      differ("near", await board.near({ ...asked, score, n }), this.#near(asked, score, n, told));
    if (wrong) return `${JSON.stringify(asked)} ${wrong}`;
    const players = Array.from({ length: 1 + below(4) }, () => `player ${below(this.#plan.players)}`);
    const chosen = shown.filter(({ player }) => players.includes(player));
    const row = this.#anyRow();
    return differ("ofPlayers", await board.ofPlayers({ ...asked, players }), told(chosen)) ?? (row ? this.#askRow(row, asked, n) : null);
  }

  async #askRow(row: ModelRow, asked: BoardView, n: number): Promise<string | null> {
    const model = this.#model;
    const { board, period, tag, ...bounds } = asked;
    const own: BoardView = { ...bounds, ...view(row.period, row.tag) };
    const list = model.shown(own);
    const at = list.indexOf(row);
    const near = at < 0 ? [] : list.slice(Math.max(0, at - n), at + n + 1).map((other) => ({ ...model.told(other, own), replay: false }));
    return (
      differ(`around ${n}`, await this.#board.around(row.id, n, bounds), near) ??
      differ("find", await this.#board.find(row.id), { ...model.told(row), replay: false })
    );
  }

  #near(asked: BoardView, score: number, n: number, told: (rows: readonly ModelRow[]) => object[]): unknown {
    const shown = this.#model.shown(asked);
    const at = this.#behind(shown, { score, at: Infinity, id: "" });
    const start = shown.length - at.length;
    return { rank: this.#model.rank(score, asked), rows: told(shown.slice(Math.max(0, start - n), start + n)) };
  }

  #behind(shown: readonly ModelRow[], { score, at, id }: { score: number; at: number; id: string }): ModelRow[] {
    const sign = this.#rules.order === "asc" ? 1 : -1;
    return shown.filter((row) => (sign * (row.score - score) || row.at - at || (row.id > id ? 1 : -1)) > 0 && row.id !== id);
  }

  #anyRow(): ModelRow | undefined {
    const { rows } = this.#model;
    return rows[this.#below(rows.length || 1)];
  }

  #anyView(): BoardView {
    const below = this.#below;
    const bounds = [this.#anyRow()?.score ?? 0, this.#anyRow()?.score ?? 0].sort((a, b) => a - b);
    return {
      ...view(this.#periods[below(this.#periods.length)] ?? "", TAGS[below(TAGS.length)]),
      order: this.#rules.order,
      ...(below(3) === 0 && { min: bounds[0] ?? 0 }),
      ...(below(3) === 0 && { max: bounds[1] ?? 0 }),
      ...(below(2) === 0 && { minLevel: LEVELS[below(4)] ?? "claimed" }),
    };
  }
}

function view(period: string, tag?: string): BoardView {
  return { board: "main", period, ...(tag !== undefined && { tag }) };
}

/** The bounds of rows: a sum outgrows those of one submission. */
function summed({ operator, min = 0, max = 0xffffff }: BoardRules): { min: number; max: number } {
  return operator === "sum" ? { min: -Infinity, max: Infinity } : { min, max };
}

function differ(what: string, actual: unknown, expected: unknown): string | null {
  const [a, b] = [stable(actual), stable(expected)];
  return a === b ? null : `${what}: ${a} instead of ${b}`;
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Integers below n from a seed: the same failure again with the same seed. */
function generator(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return ((mixed ^ (mixed >>> 16)) >>> 0) % n;
  };
}
