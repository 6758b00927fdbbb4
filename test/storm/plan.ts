import type { Quota, Store } from "../../src/store/contract.ts";

/** What a storm is: `processes` x `callers` that make `spends` spends in all, over keys that all of them share. */
export interface Storm {
  processes: number;
  callers: number;
  spends: number;
  /** Milliseconds since the epoch until which everything counts: nothing may come back while the storm lasts. */
  expiresAt: number;
}

/** What one process saw. */
export interface StormReport {
  /** Units that were admitted, by key. */
  admitted: Record<string, number>;
  /** Spends that rejected: whether they charged is not known. */
  rejected: number;
  refused: number;
  /** What the first rejections said. */
  errors: string[];
  /** Milliseconds since the epoch of the first and the last call. */
  began: number;
  ended: number;
}

/** Spends after which new keys are taken, so that a long storm is not all refusals. */
const EPOCH = 20_000;
const USES = 24;
const RATES = 6;
const WINDOW = 86_400;

/** The keys of a storm with their limits, about half of what is asked for; `alone` is charged by spends of its own, `crowd` never fills up. */
export function quotasOf(storm: Storm): Quota[] {
  const epochs = Math.ceil(storm.spends / EPOCH);
  return Array.from({ length: epochs }, (_, epoch) => {
    const spends = Math.min(EPOCH, storm.spends - epoch * EPOCH);
    const uses = Array.from({ length: USES }, (_, n) => ({ n, limit: Math.max(1, Math.floor(spends / USES)) }));
    return [
      ...uses.map(({ n, limit }): Quota => ({ key: `e${epoch}u${n}`, limit, expiresAt: storm.expiresAt })),
      ...Array.from(
        { length: RATES },
        (_, n): Quota => ({ key: `e${epoch}r${n}`, limit: Math.max(1, Math.floor(spends / RATES / 2)), window: WINDOW }),
      ),
      { key: `e${epoch}alone`, limit: Math.max(1, Math.floor(spends / 20)), expiresAt: storm.expiresAt },
      { key: `e${epoch}crowd`, limit: spends * 2, expiresAt: storm.expiresAt },
    ];
  }).flat();
}

/** The part of a storm that process number `process` makes. It runs on any runtime. `progress` is told how many spends are done. */
export async function blow(store: Store, storm: Storm, process: number, progress = { done: 0 }): Promise<StormReport> {
  const known = new Map(quotasOf(storm).map((quota) => [quota.key, quota]));
  const report: StormReport = { admitted: {}, rejected: 0, refused: 0, errors: [], began: Date.now(), ended: 0 };
  const each = Math.floor(storm.spends / storm.processes);
  let next = 0;
  const one = async (): Promise<void> => {
    for (let i = next++; i < each; i = next++) {
      const wanted = wantedBy(known, Math.floor((i * storm.processes) / EPOCH), mix(process * 1_000_003 + i));
      try {
        const { ok } = await store.spend(wanted);
        if (ok) for (const { key, cost = 1 } of wanted) report.admitted[key] = (report.admitted[key] ?? 0) + cost;
        else report.refused += 1;
      } catch (error) {
        report.rejected += 1;
        if (report.errors.length < 3)
          report.errors.push(error instanceof Error ? `${error.message} (${error.cause ?? "no cause"})` : String(error));
      }
      progress.done += 1;
    }
  };
  await Promise.all(Array.from({ length: storm.callers }, one));
  report.ended = Date.now();
  return report;
}

/** Every tenth spend is of `alone`, the others of one to four keys in any order. */
function wantedBy(known: ReadonlyMap<string, Quota>, epoch: number, random: number): Quota[] {
  const pick = (name: string, cost = 1): Quota[] => {
    const quota = known.get(`e${epoch}${name}`);
    return quota ? [{ ...quota, cost }] : [];
  };
  if (random % 10 === 0) return pick("alone");
  const first = (random >>> 4) % USES;
  const second = (first + 1 + ((random >>> 9) % (USES - 1))) % USES;
  const quotas = [...pick(`u${first}`, 1 + ((random >>> 14) & 1)), ...pick(`r${(random >>> 15) % RATES}`)];
  if ((random >>> 18) & 1) quotas.push(...pick(`u${second}`));
  if ((random >>> 19) & 1) quotas.unshift(...pick("crowd"));
  return quotas;
}

/** A 32-bit number that looks random (the finaliser of MurmurHash3). */
function mix(seed: number): number {
  let mixed = seed | 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/**
 * What is wrong after a storm; empty when nothing is. Never a unit too many, whatever happened. Where no call rejected, the backend holds
 * exactly what the processes were told, and nothing was refused that still had room.
 */
export async function faultsOf(store: Store, storm: Storm, reports: readonly StormReport[]): Promise<string[]> {
  const faults: string[] = [];
  const rejected = reports.reduce((sum, report) => sum + report.rejected, 0);
  const quotas = quotasOf(storm);
  for (let from = 0; from < quotas.length; from += 16) {
    const batch = quotas.slice(from, from + 16);
    const { states } = await store.spend(batch.map((quota) => ({ ...quota, cost: 0 })));
    batch.forEach(({ key, limit }, i) => {
      const held = limit - (states[i]?.remaining ?? Number.NaN);
      const told = reports.reduce((sum, { admitted }) => sum + (admitted[key] ?? 0), 0);
      if (told > limit) faults.push(`${key}: ${told} admitted of ${limit}`);
      if (!(rejected === 0 ? held === told : held >= told)) faults.push(`${key}: ${held} held, ${told} told`);
      // About twice the limit was asked for, one unit at a time: a refusal with room left would show here.
      if (rejected === 0 && key.endsWith("alone") && told !== limit) faults.push(`${key}: ${told} admitted where ${limit} had to be`);
    });
  }
  const [began, ended] = [Math.max(...reports.map((report) => report.began)), Math.min(...reports.map((report) => report.ended))];
  if (began >= ended) faults.push("The processes did not run at the same time");
  if (reports.length !== storm.processes) faults.push(`${reports.length} reports of ${storm.processes} processes`);
  return faults;
}
