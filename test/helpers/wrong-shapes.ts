import { deepStrictEqual, equal, ok } from "node:assert/strict";
import { isGatepassError } from "../../src/errors.ts";
import type { ScoreBoard, ScoreEntry } from "../../src/scores/board.ts";
import type { Quota, Store } from "../../src/store/contract.ts";

/** One answer in another shape, and what was done to it. */
export interface WrongShape {
  name: string;
  value: unknown;
}

/**
 * An answer of a backend in other shapes than the one that was asked for: arrays for objects and the other way round, missing and renamed columns,
 * rows twice, nulls, texts for numbers. No list gets shorter, no row becomes none, and no value becomes another one of its kind: those are right answers to other questions.
 */
export function wrongShapes(answer: unknown): WrongShape[] {
  const nothing = Array.isArray(answer) ? [null, undefined, {}] : isRecord(answer) ? [{}, []] : [null, undefined, {}, []];
  const whole = [...nothing, [null], "", "x", 0, true, [answer], { 0: answer }];
  return [...whole.map((value) => ({ name: `the answer is ${text(value)}`, value })), ...inside(answer, "answer")];
}

/** The changes to one value and to all that it holds. */
function inside(value: unknown, at: string): WrongShape[] {
  if (Array.isArray(value)) return [...ofArray(value, at), ...value.flatMap((one, i) => nested(value, i, inside(one, `${at}[${i}]`)))];
  if (isRecord(value)) {
    const parts = Object.keys(value).flatMap((key) =>
      inside(value[key], `${at}.${key}`).map((part) => ({ name: part.name, value: { ...value, [key]: part.value } })),
    );
    return [...ofObject(value, at), ...parts];
  }
  const others: unknown[] =
    typeof value === "number"
      ? [null, undefined, "x", "", Number.NaN, true, [value], {}]
      : [undefined, 7, ...(typeof value === "boolean" ? ["x"] : [true]), {}, []];
  return others.map((other) => ({ name: `${at} is ${text(other)} for ${text(value)}`, value: other }));
}

function ofArray(list: readonly unknown[], at: string): WrongShape[] {
  const shapes: WrongShape[] = [
    { name: `${at} is an object`, value: { ...list } },
    { name: `${at} is null`, value: null },
    { name: `${at} is an array in an array`, value: [list] },
  ];
  if (list.length > 0) shapes.push({ name: `${at} has its first member twice`, value: [...list, list[0]] });
  return shapes;
}

function ofObject(object: Record<string, unknown>, at: string): WrongShape[] {
  const keys = Object.keys(object);
  return [
    { name: `${at} is an array of its values`, value: Object.values(object) },
    ...(at === "answer" ? [] : [{ name: `${at} is null`, value: null }]),
    { name: `${at} has its names in capitals`, value: Object.fromEntries(keys.map((key) => [key.toUpperCase(), object[key]])) },
    ...keys.map((key) => ({
      name: `${at} lacks "${key}"`,
      value: Object.fromEntries(keys.filter((one) => one !== key).map((one) => [one, object[one]])),
    })),
  ];
}

function nested(list: readonly unknown[], i: number, shapes: readonly WrongShape[]): WrongShape[] {
  return shapes.map(({ name, value }) => ({ name, value: list.toSpliced(i, 1, value) }));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) !== Float64Array.prototype;
}

function text(value: unknown): string {
  return value === undefined ? "undefined" : JSON.stringify(value, (_, one) => (typeof one === "bigint" ? `${one}n` : one)).slice(0, 40);
}

/** Changes the answers that a client gives. */
export interface Tampering {
  /** What a client of a test passes every answer through. */
  through<T>(answer: T): T;
  /** Runs `work` once as it is, to see its answers; then once for each change to each of them. */
  each<T>(work: () => Promise<T>, judge: (name: string, outcome: Promise<T>, genuine: T) => Promise<void>): Promise<number>;
}

/**
 * @param most changes tried for one call; of more, evenly chosen ones
 * @param right names of changes that make a right answer to another question, and are left out
 */
export function createTampering({ most = 400, right }: { most?: number; right?: RegExp | undefined } = {}): Tampering {
  let onAnswer: (answer: unknown) => unknown = (answer) => answer;
  return {
    // Whatever it becomes: that it may be no T is what the test is about.
    through: (answer) => onAnswer(answer) as typeof answer,
    async each(work, judge) {
      const names: string[][] = [];
      onAnswer = (answer) => {
        names.push(wrongShapes(structuredCopy(answer)).map(({ name }) => name));
        return answer;
      };
      const genuine = await work();
      const all = names.flatMap((own, n) => own.map((name, k) => ({ name, n, k }))).filter(({ name }) => !right?.test(name));
      const step = Math.max(1, all.length / most);
      let tried = 0;
      for (let i = 0; i < all.length; i += step) {
        const { name = "", n, k = 0 } = all[Math.floor(i)] ?? {};
        let seen = 0;
        // The answer of this very call: it may carry the call's number.
        onAnswer = (answer) => (seen++ === n ? wrongShapes(structuredCopy(answer))[k]?.value : answer);
        await judge(`answer ${n}: ${name}`, work(), genuine);
        tried += 1;
      }
      onAnswer = (answer) => answer;
      return tried;
    },
  };
}

/** Rows of some drivers have no prototype, or getters. */
function structuredCopy(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(structuredCopy);
  if (!isRecord(value) || Object.getPrototypeOf(value) === Uint8Array.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, structuredCopy(one)]));
}

/** Fails unless a call under a wrong answer rejected with `code`, or came to what it comes to under the right one. */
function judgeBy<T>(code: string): (name: string, outcome: Promise<T>, genuine: T) => Promise<void> {
  return async (name, outcome, genuine) => {
    const result = await outcome.then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    if ("error" in result) equal(isGatepassError(result.error) && result.error.code, code, `${name}: ${String(result.error)}`);
    else deepStrictEqual(result.value, genuine, name);
  };
}

const NOW = 1_750_000_000_000;
const UNTIL = NOW + 3_600_000;

/**
 * A store behind a client that answers in wrong shapes: a token that is used up, one that is revoked and a full rate stay what they are, or the call
 * rejects. `make` gives a store whose clock stands at {@link NOW}, over a client whose answers go through `tampering`.
 */
export async function expectNoAdmissionByWrongShape(
  make: (tampering: Tampering, clock: () => number) => Promise<Store> | Store,
  right?: RegExp,
): Promise<void> {
  const tampering = createTampering({ right });
  const store = await make(tampering, () => NOW);
  const session: Quota = { key: "session", limit: 3, expiresAt: UNTIL };
  const revoked: Quota = { key: "revoked", limit: 3, expiresAt: UNTIL };
  const half: Quota = { key: "half", limit: 10, expiresAt: UNTIL };
  const rate: Quota = { key: "rate", limit: 5, window: 60 };
  const free: Quota = { key: "free", limit: 5, window: 60 };
  for (const quota of [session, rate]) ok((await store.spend([{ ...quota, cost: quota.limit }])).ok);
  ok((await store.spend([half, free])).ok);
  await store.block("revoked", UNTIL);
  const judge = judgeBy<Awaited<ReturnType<Store["spend"]>>>("ERR_STORE_UNAVAILABLE");
  let tried = 0;
  for (const quotas of [[session], [revoked], [rate], [free, session], [rate, revoked, session]]) {
    tried += await tampering.each(
      () => store.spend(quotas),
      async (name, outcome, genuine) => {
        equal(genuine.ok, false);
        await judge(name, outcome, genuine);
      },
    );
  }
  const read = [session, revoked, half, rate, free].map((quota) => ({ ...quota, cost: 0 }));
  tried += await tampering.each(() => store.spend(read), judge);
  ok(tried > 50);
  // Nothing of it was charged or lost on the way.
  deepStrictEqual(
    (await store.spend(read)).states.map(({ remaining }) => remaining),
    [0, 0, 9, 0, 4],
  );
}

/** A board behind a client that answers in wrong shapes: no call says "nothing there" of what is there, nor anything else that is not so. */
export async function expectNoWrongRowsByWrongShape(
  make: (tampering: Tampering) => Promise<ScoreBoard> | ScoreBoard,
  right?: RegExp,
): Promise<void> {
  const tampering = createTampering({ most: 250, right });
  const board = await make(tampering);
  const rules = { periods: ["all", "2026-W01"], order: "desc", operator: "best", min: 0, max: 1_000_000 } as const;
  const entry = (player: string, score: number): ScoreEntry => ({
    ...{
      board: "main",
      player,
      score,
      at: NOW + score,
      submission: `s-${player}`,
      level: "claimed",
      flags: ["odd"],
      name: `Name of ${player}`,
    },
    log: `log of ${player}`,
  });
  for (const [i, player] of ["ann", "bob", "cem", "dee"].entries())
    await board.submit(entry(player, 100 * (i + 1)), { ...rules, periods: [...rules.periods] });
  const own = await board.ofPlayer({ board: "main", period: "all", player: "bob" });
  if (own === null) throw new Error("The row is missing");
  await board.ban("eve", true, "");
  const calls: Record<string, () => Promise<unknown>> = {
    top: () => board.top({ board: "main", period: "all", limit: 4 }),
    around: () => board.around(own.id, 1),
    find: () => board.find(own.id),
    ofPlayer: () => board.ofPlayer({ board: "main", period: "all", player: "bob" }),
    "a repeated submission": () => board.submit(entry("bob", 200), { ...rules, periods: [...rules.periods] }),
    "a submission of a banned player": () => board.submit(entry("eve", 900), { ...rules, periods: [...rules.periods] }),
    "a worse score": () => board.submit({ ...entry("bob", 20), submission: "s-worse" }, { ...rules, periods: [...rules.periods] }),
  };
  const judge = judgeBy<unknown>("ERR_BOARD_UNAVAILABLE");
  // The first time it is kept, then repeated.
  await calls["a worse score"]?.();
  for (const [call, work] of Object.entries(calls)) {
    const tried = await tampering.each(work, (name, outcome, genuine) => judge(`${call}, ${name}`, outcome, genuine));
    ok(tried > 10, call);
  }
  const rows = await board.top({ board: "main", period: "all", limit: 10 });
  deepStrictEqual(
    rows.map(({ player }) => player),
    ["dee", "cem", "bob", "ann"],
  );
}
