import type { Core } from "./core.ts";
import type { JobSummary } from "./types.ts";

/** Milliseconds that one run of a job takes at most, before it leaves the rest to the next. */
const BUDGET = 25_000;

/** Runs a job, slice by slice. @throws {TypeError} there is no such job; whatever the job throws */
export async function runJob({ parts, kernel }: Core, name: string): Promise<JobSummary> {
  const job = parts.jobs.get(name);
  if (!job) throw new TypeError(`Cannot run the job "${name}": there is none (there are: ${[...parts.jobs.keys()].join(", ")})`);
  const start = kernel.clock();
  const deadline = start + BUDGET;
  const total: JobSummary = { job: name, swept: 0, kept: 0, tookMs: 0 };
  let cursor: string | undefined;
  do {
    const slice = await job({ kernel, deadline, ...(cursor !== undefined && { cursor }) });
    total.swept += slice.swept;
    total.kept += slice.kept;
    // A slice that ends where it began would never end.
    if (slice.next !== undefined && slice.next === cursor) break;
    cursor = slice.next;
  } while (cursor !== undefined && kernel.clock() < deadline);
  total.tookMs = kernel.clock() - start;
  return cursor === undefined ? total : { ...total, next: cursor };
}

/** Runs every job, one after the other; the first failure is thrown when all had their turn. */
export async function runAll(core: Core): Promise<void> {
  const failures: unknown[] = [];
  for (const name of core.parts.jobs.keys()) await runJob(core, name).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}
