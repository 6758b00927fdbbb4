import type { Job, Kernel } from "../gate/types.ts";
import { type UsesQuota, usesKey } from "../store/index.ts";
import type { Period } from "./calendar.ts";
import { COMMITMENT_TTL } from "./commitment.ts";
import type { Board, Settled } from "./options.ts";

/** Rows and submissions that one step deletes. */
const SLICE = 1000;
const MINUTE = 60_000;
/** Milliseconds after a period's end at which no submission of it can come any more: a commitment was signed within it, and lives for 15 minutes. */
const SETTLED = COMMITMENT_TTL * 1000 + 5 * MINUTE;
/** Milliseconds for which the end of a period is looked for. */
const WEEK = 7 * 86_400_000;
/** Milliseconds for which one process has a period's end for itself. */
const LEASE = 5 * MINUTE;

/** Deletes what boards forget. */
export function forgetJob({ store }: Settled): Job {
  return async ({ kernel, cursor = "0" }) => {
    const start = kernel.clock();
    const swept = await store.sweep(SLICE, start);
    if (swept > 0) kernel.events.emit("cleanup_swept", { outcome: "info", detail: `${swept} entries of the boards` });
    return { job: "boards", swept, kept: 0, tookMs: kernel.clock() - start, ...(swept >= SLICE && { next: `${Number(cursor) + 1}` }) };
  };
}

/** Tells the application which periods are over: each once, from one process. */
export function periodsJob(settled: Settled): Job {
  return async ({ kernel }) => {
    const start = kernel.clock();
    let told = 0;
    const until = start - SETTLED;
    for (const board of settled.boards) {
      for (const period of board.calendar.ended(until - WEEK, until)) {
        if (await tell(settled, kernel, board, period)) told += 1;
      }
    }
    return { job: "periods", swept: told, kept: 0, tookMs: kernel.clock() - start };
  };
}

/**
 * Calls the application about one period, unless that was done. A lease keeps other processes away meanwhile; it is of one slice of time, so that the end of a
 * process that was killed in the middle is told by another one later, under the same key.
 */
async function tell(
  { store, group, onPeriodEnd }: Settled,
  { store: counters, clock }: Kernel,
  board: Board,
  period: Period,
): Promise<boolean> {
  const idempotencyKey = [group, board.name, period.key].map(encodeURIComponent).join("/");
  const expiresAt = period.end + 2 * WEEK;
  const once = (...parts: [string, string, string?]): UsesQuota => ({ key: usesKey(...parts), limit: 1, expiresAt });
  const done = once("ended", idempotencyKey);
  const slice = Math.floor(clock() / LEASE);
  // Of the slice before, a process may still be at work.
  const { states } = await counters.spend([done, once("ending", idempotencyKey, `${slice - 1}`)].map((quota) => ({ ...quota, cost: 0 })));
  if (states.some(({ why }) => why !== undefined)) return false;
  if (!(await counters.spend([once("ending", idempotencyKey, `${slice}`)])).ok) return false;
  const top = await store.top({ ...board.view, board: board.name, period: period.key, limit: 100 });
  await onPeriodEnd?.({ board: board.name, period: period.key, top, idempotencyKey });
  await counters.spend([done]);
  return true;
}
