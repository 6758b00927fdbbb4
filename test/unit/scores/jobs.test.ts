import { expect, it } from "vitest";
import type { PeriodEnd } from "../../../src/scores/index.ts";
import { kit } from "./kit.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

it("a period's end is told with the best rows, 20 minutes after it; where the function throws, again and under the same key", async () => {
  const told: PeriodEnd[] = [];
  let fails = false;
  const at = kit({
    boards: { main: { periods: ["all", "day"] } },
    onPeriodEnd(ended) {
      told.push(ended);
      if (fails) throw new Error("The mail server is down");
    },
  });
  for (const score of [3, 8]) await at.submit({ score }, (await at.player()).token);
  // The days before.
  expect((await at.gate.run("periods")).swept).toBe(7);
  fails = true;
  at.advance(12 * 60 * MINUTE + 19 * MINUTE);
  expect((await at.gate.run("periods")).swept).toBe(0);
  at.advance(2 * MINUTE);
  told.length = 0;
  await expect(at.gate.run("periods")).rejects.toThrow("The mail server is down");
  // Whoever failed may still be at work, for all that others know.
  fails = false;
  expect((await at.gate.run("periods")).swept).toBe(0);
  at.advance(11 * MINUTE);
  expect([(await at.gate.run("periods")).swept, (await at.gate.run("periods")).swept]).toEqual([1, 0]);
  expect(told.map(({ board, period, idempotencyKey, top }) => [board, period, idempotencyKey, top.map(({ score }) => score)])).toEqual(
    Array(2).fill(["main", "2026-11-20", "main/main/2026-11-20", [8, 3]]),
  );
  // What nobody told within seven days is not told any more.
  at.advance(30 * DAY);
  expect((await at.gate.run("periods")).swept).toBe(7);
});

it("a season ends with its own name, and the top is at most 100 rows", async () => {
  const told: PeriodEnd[] = [];
  const seasons = { cup: { start: "2026-11-20T00:00:00Z", end: "2026-11-20T12:30:00Z" } };
  const at = kit({ boards: { main: { periods: ["all"], seasons } }, onPeriodEnd: (ended) => void told.push(ended) });
  const rules = { periods: ["all", "cup"], order: "desc", operator: "best", group: "main" } as const;
  for (let i = 0; i < 120; i++) {
    const entry = { board: "main", player: `p${i}`, score: i, at: i, submission: `s${i}`, level: "claimed", flags: [], name: "" } as const;
    await at.board.submit(entry, rules);
  }
  at.advance(51 * MINUTE);
  expect((await at.gate.run("periods")).swept).toBe(1);
  expect(told.map(({ period, top }) => [period, top.length, top[0]?.score])).toEqual([["cup", 100, 119]]);
});

it("a list is kept for `keep` days after its period, readable by its key, and then deleted by the job", async () => {
  const at = kit({ boards: { main: { keep: 3 } } });
  await at.submit({ score: 5 }, (await at.player()).token);
  const shown = async (period: string): Promise<number> => (await at.list(`?period=${period}`)).scores.length;
  at.advance(3 * DAY + 11 * 60 * MINUTE);
  expect((await at.gate.run("boards")).swept).toBe(0);
  expect([await shown("2026-11-20"), await shown("day"), await shown("all")]).toEqual([1, 0, 1]);
  at.advance(2 * 60 * MINUTE);
  expect((await at.gate.run("boards")).swept).toBe(2);
  expect([await shown("2026-11-20"), await shown("2026-W47"), await shown("all")]).toEqual([0, 1, 1]);
  at.advance(5 * DAY);
  expect((await at.gate.run("boards")).swept).toBe(2);
  expect([await shown("2026-W47"), await shown("all")]).toEqual([0, 1]);
  at.advance(4000 * DAY);
  expect([(await at.gate.run("boards")).swept, await shown("all")]).toEqual([0, 1]);
});
