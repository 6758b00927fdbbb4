import { LEVELS } from "../protocol.ts";
import type { BoardRules, ScoreBoard, ScoreEntry, ScoreRow } from "../scores/board.ts";

/** A row as the model has it: everything but what the board makes up. */
type ModelRow = Omit<ScoreRow, "rank" | "replay" | "log" | "hidden"> & { hiddenItself: boolean };

/** A board as one would write it without a thought for speed: it sorts and counts everything, every time. */
export interface BoardModel {
  /** Tells the model what was submitted; `idOf` gives the id that the real board gave the row. */
  submit(entry: ScoreEntry, rules: BoardRules, idOf: (period: string) => Promise<string>): Promise<string>;
  rows: ModelRow[];
  banned: Set<string>;
  /** Shown rows of a period, best first. */
  shown(period: string): ModelRow[];
  /** A row as the board should tell it. */
  told(row: ModelRow): Omit<ScoreRow, "replay">;
}

/** A model of a board that is always used with the same order. */
export function boardModel(order: "desc" | "asc"): BoardModel {
  const rows: ModelRow[] = [];
  const banned = new Set<string>();
  const seen = new Set<string>();
  const sign = order === "asc" ? 1 : -1;
  const isShown = (row: ModelRow): boolean => !row.hiddenItself && !banned.has(row.player);
  return {
    rows,
    banned,
    shown: (period) =>
      rows
        .filter((row) => row.period === period && isShown(row))
        .sort((a, b) => sign * (a.score - b.score) || a.at - b.at || (a.id < b.id ? -1 : 1)),
    told({ hiddenItself: _, ...row }) {
      const better = rows.filter((other) => other.period === row.period && isShown(other) && sign * (other.score - row.score) < 0);
      const own = rows.find(({ id }) => id === row.id);
      return { ...row, rank: better.length + 1, hidden: own === undefined || !isShown(own) };
    },
    async submit({ log: _, ...entry }, { periods, operator }, idOf) {
      if (banned.has(entry.player)) return "banned";
      const statuses: string[] = [];
      for (const period of periods) {
        const key = JSON.stringify([period, entry.submission]);
        const held = rows.find((row) => row.player === entry.player && row.period === period);
        if (seen.has(key)) statuses.push("repeated");
        else if (held === undefined) {
          rows.push({ ...entry, period, id: await idOf(period), hiddenItself: false });
          statuses.push("stored");
        } else {
          const wins = operator === "sum" || (operator === "last" ? entry.at >= held.at : sign * (entry.score - held.score) < 0);
          if (wins) Object.assign(held, entry, { score: operator === "sum" ? held.score + entry.score : entry.score });
          statuses.push(wins ? "stored" : "kept");
        }
        seen.add(key);
      }
      return statuses[0] ?? "";
    },
  };
}

/** Random actions on a board, each mirrored in the model; whatever can be asked must then be answered alike. Tells the first difference. */
export async function compareWithModel(
  board: ScoreBoard,
  rules: BoardRules,
  options: { seed: number; steps: number; players: number; scores: number },
): Promise<string | null> {
  const model = boardModel(rules.order);
  const below = generator(options.seed);
  const { min = 0, max = 0xffffff } = rules;
  const spacing = Math.max(1, Math.floor((max - min) / options.scores));
  const find = (period: string, player: string): Promise<ScoreRow | null> => board.ofPlayer({ board: "main", period, player });
  for (let step = 0; step < options.steps; step++) {
    const action = below(20);
    const player = `player ${below(options.players)}`;
    const row = model.rows[below(model.rows.length || 1)];
    if (action < 13 || row === undefined) {
      const entry: ScoreEntry = {
        board: "main",
        player,
        score: Math.min(max, min + below(options.scores) * spacing),
        at: 1_000 + below(4),
        submission: `s${below(options.steps)}`,
        level: LEVELS[below(4)] ?? "claimed",
        flags: below(2) ? ["slow"] : [],
        name: `name ${step}`,
      };
      const periods = below(3) ? rules.periods : rules.periods.slice(0, 1);
      const result = await board.submit(entry, { ...rules, periods });
      const status = await model.submit(entry, { ...rules, periods }, async (period) => (await find(period, player))?.id ?? "");
      const held = model.rows.find((other) => other.player === player && other.period === periods[0]);
      const told = held && model.told(held);
      const expected =
        status === "banned" || told === undefined
          ? { status, id: "", rank: 0, best: false }
          : { status, id: told.id, rank: told.rank, best: told.submission === entry.submission };
      const wrong = differ(`step ${step}: submit`, result, expected);
      if (wrong) return wrong;
    } else if (action < 15) {
      row.hiddenItself = below(2) === 0;
      await board.hide(row.id, row.hiddenItself);
    } else if (action < 17) {
      const ban = below(2) === 0;
      if (ban) model.banned.add(player);
      else model.banned.delete(player);
      await board.ban(player, ban);
    } else if (action < 19) {
      const removed = await board.remove(row.id);
      const wrong = differ(`step ${step}: remove`, removed, true);
      if (wrong) return wrong;
      model.rows.splice(model.rows.indexOf(row), 1);
    } else {
      const gone = model.rows.filter((other) => other.player === player);
      const wrong = differ(`step ${step}: purge`, await board.purge(player), gone.length);
      if (wrong) return wrong;
      for (const other of gone) model.rows.splice(model.rows.indexOf(other), 1);
    }
    const wrong = await compareAnswers(board, model, rules.periods[below(rules.periods.length)] ?? "", below, `step ${step}`);
    if (wrong) return wrong;
  }
  return null;
}

async function compareAnswers(
  board: ScoreBoard,
  model: BoardModel,
  period: string,
  below: (n: number) => number,
  step: string,
): Promise<string | null> {
  const shown = model.shown(period);
  const limit = 1 + below(12);
  const told = shown.map((row) => ({ ...model.told(row), replay: false }));
  const wrong = differ(`${step}: top`, await board.top({ board: "main", period, limit }), told.slice(0, limit));
  if (wrong) return wrong;
  const level = below(4);
  const strong = told.filter((row) => LEVELS.indexOf(row.level) >= level);
  const ranked = strong.map((row) => ({ ...row, rank: strong.findIndex((other) => other.score === row.score) + 1 }));
  const minLevel = LEVELS[level] ?? "claimed";
  const off = differ(`${step}: top ${minLevel}`, await board.top({ board: "main", period, limit, minLevel }), ranked.slice(0, limit));
  if (off) return off;
  const row = model.rows[below(model.rows.length || 1)];
  if (row === undefined) return null;
  const n = below(5);
  const list = model.shown(row.period);
  const at = list.indexOf(row);
  const around = at < 0 ? [] : list.slice(Math.max(0, at - n), at + n + 1).map((other) => ({ ...model.told(other), replay: false }));
  return (
    differ(`${step}: around ${n}`, await board.around(row.id, n), around) ??
    differ(`${step}: find`, await board.find(row.id), { ...model.told(row), replay: false })
  );
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
