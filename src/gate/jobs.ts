import type { Parts } from "./features.ts";
import type { Job, JobSummary, Kernel } from "./types.ts";

/** Milliseconds after which a run of a job starts no further slice. The rest is left to the next run. */
const BUDGET = 25_000;
/** The most entries that one slice of the job `sweep` removes. */
const SLICE = 1000;

/** Removes expired entries from a store whose backend does not do so itself. */
export const sweep: Job = async ({ kernel, cursor = "0" }) => {
  const start = kernel.clock();
  const swept = (await kernel.store.sweep?.(SLICE)) ?? 0;
  if (swept > 0) kernel.events.emit("cleanup_swept", { outcome: "info", detail: `${swept} entries of the store` });
  return { job: "sweep", swept, kept: 0, tookMs: kernel.clock() - start, ...(swept >= SLICE && { next: `${Number(cursor) + 1}` }) };
};

/**
 * Runs a job, slice by slice, until it is done or out of time.
 *
 * @throws {TypeError} there is no such job; whatever the job throws
 */
export async function runJob(kernel: Kernel, { jobs }: Parts, name: string): Promise<JobSummary> {
  const job = jobs.get(name);
  if (!job) throw new TypeError(`Unknown job "${name}": expected one of ${[...jobs.keys()].join(", ")}`);
  const start = kernel.clock();
  const deadline = start + BUDGET;
  const total: JobSummary = { job: name, swept: 0, kept: 0, tookMs: 0 };
  let cursor: string | undefined;
  do {
    const { swept, kept, next } = await job({ kernel, deadline, ...(cursor !== undefined && { cursor }) });
    total.swept += swept;
    total.kept += kept;
    total.tookMs = kernel.clock() - start;
    // A slice that makes no progress would be repeated for ever.
    if (next === cursor) break;
    cursor = next;
  } while (cursor !== undefined && total.tookMs < BUDGET);
  return cursor === undefined ? total : { ...total, next: cursor };
}
