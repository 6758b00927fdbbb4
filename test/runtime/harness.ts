/** One test of the matrix: it fails by throwing. Nothing here knows a test runner or a runtime. */
export interface Case {
  name: string;
  run(): Promise<void> | void;
}

/** What a runtime reports. */
export interface Report {
  passed: number;
  failures: { name: string; message: string }[];
}

/** Runs every case, one after another. */
export async function runCases(cases: readonly Case[]): Promise<Report> {
  const report: Report = { passed: 0, failures: [] };
  for (const { name, run } of cases) {
    try {
      await run();
      report.passed += 1;
    } catch (error) {
      report.failures.push({ name, message: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) });
    }
  }
  return report;
}

/** Throws unless both are the same JSON. */
export function equal(actual: unknown, expected: unknown, what = "value"): void {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`Expected ${what} to be ${b}: it is ${a}`);
}

/** Throws unless `condition` holds. */
export function truthy(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(`Expected ${what}`);
}

/** Throws unless `promise` rejects with an error of this code. */
export async function rejects(promise: Promise<unknown>, code: string): Promise<void> {
  const outcome = await promise.then(
    () => "resolved",
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : String(error)),
  );
  equal(outcome, code, "the rejection");
}
