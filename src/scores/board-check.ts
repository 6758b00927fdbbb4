import { type ConfigProblem, GatepassError } from "../errors.ts";
import { isJsonObject } from "../util/json.ts";
import type { BoardRules } from "./board.ts";
import { DEFAULT_MAX } from "./ranking.ts";

/** Rules of a board with their defaults, as a board's storage keeps them. */
export type HeldRules = Required<Omit<BoardRules, "periods">>;

/** The rules with their defaults, always in the same order: as JSON they can be compared and stored. */
export function heldRules(rules: Omit<BoardRules, "periods">): HeldRules {
  const { order, operator, min = 0, max = DEFAULT_MAX, minLevel = "claimed", group = "" } = rules;
  return { order, operator, min, max, minLevel, group };
}

/** Whether what a storage gave is such rules. */
export function isHeldRules(value: unknown): value is HeldRules {
  if (!isJsonObject(value)) return false;
  const { order, operator, min, max, minLevel, group } = value;
  return (
    [order, operator, minLevel, group].every((one) => typeof one === "string") && Number.isSafeInteger(min) && Number.isSafeInteger(max)
  );
}

/** GP171: rows that no list shows, since their scores are outside the board's bounds. */
export function outsideProblem(board: string, rows: number, { min = 0, max = DEFAULT_MAX }: Omit<BoardRules, "periods">): ConfigProblem[] {
  if (rows === 0) return [];
  return [
    {
      code: "GP171",
      severity: "warning",
      message: `Board "${board}": ${rows} rows have scores outside ${min} to ${max}, from before the bounds were changed; they are not shown`,
      fix: "Remove these rows with the moderation routes, or widen `min` and `max` of the board to show them again",
    },
  ];
}

/** GP172: the last submission came with other rules: two games share the board, or another release is still running. */
export function rulesProblem(board: string, held: HeldRules | undefined, rules: Omit<BoardRules, "periods">): ConfigProblem[] {
  const ours = heldRules(rules);
  const other = (Object.keys(ours) as (keyof HeldRules)[]).filter((name) => held && held[name] !== ours[name]);
  if (!held || other.length === 0) return [];
  const told = other.map((name) => `${name} ${JSON.stringify(held[name])} instead of ${JSON.stringify(ours[name])}`).join(", ");
  return [
    {
      code: "GP172",
      severity: "warning",
      message: `Board "${board}": the last submission came with other rules (${told}). Two games that use one storage share its boards of the same name`,
      fix: "Give each game a storage of its own (`prefix` of redisBoard, `table` of the others) or other board names; after a change of the rules this ends with the next submission",
    },
  ];
}

/** The version of the data that this release's boards read and write. */
export const BOARD_VERSION = 2;

/** GP173: the data is of another version than this release's. `found` is 0 while it is being migrated. */
export function versionProblem(where: string, found: number, migrate: string): ConfigProblem {
  const message =
    found === 0
      ? `The board's data in ${where} is being migrated to version ${BOARD_VERSION}`
      : `The board's data in ${where} has version ${found}, and this release reads and writes version ${BOARD_VERSION}`;
  const fix =
    found > BOARD_VERSION ? "Install the release that wrote the data, or a newer one" : `Run ${migrate}, once or many times at once`;
  return { code: "GP173", severity: "error", message, fix };
}

/** What a call rejects with then: nothing was read or written. */
export function versionError(problem: ConfigProblem): GatepassError {
  return new GatepassError("ERR_CONFIG_INVALID", `${problem.code}: ${problem.message}. ${problem.fix}`);
}

/** GP174: the histogram that ranks are read from disagrees with the rows. */
export function histogramProblem(lists: number, repair: string): ConfigProblem[] {
  if (lists === 0) return [];
  return [
    {
      code: "GP174",
      severity: "error",
      message: `Ranks are wrong in ${lists} lists: the histogram disagrees with the rows, which happens when its table is changed by hand`,
      fix: `Run ${repair}, which counts the rows again`,
    },
  ];
}
