// A test kit where there is no test runner: for suites that run inside another runtime and print a report.
import { deepStrictEqual } from "node:assert";
import type { TestKit } from "../../src/testing/index.ts";

/** What came of a suite. */
export interface PlainReport {
  passed: number;
  failures: string[];
}

/** A kit whose tests wait for `run`, which runs so many of them at a time, and only those whose names match. */
export function plainKit(): TestKit & { run(group: string, atOnce?: number, only?: RegExp): Promise<PlainReport> } {
  let tests: [name: string, test: () => void | Promise<void>][] = [];
  return {
    describe: (_, suite) => suite(),
    it: (name, test) => void tests.push([name, test]),
    expect: (value) => ({ toEqual: (expected) => deepStrictEqual(plain(value), plain(expected)) }),
    async run(group, atOnce = 1, only = /./) {
      const report: PlainReport = { passed: 0, failures: [] };
      const left = tests.filter(([name]) => only.test(name));
      tests = [];
      const next = async (): Promise<void> => {
        for (let one = left.shift(); one !== undefined; one = left.shift()) {
          try {
            await one[1]();
            report.passed += 1;
          } catch (error) {
            report.failures.push(`${group}: ${one[0]}: ${error instanceof Error ? error.message : String(error)}`);
          }
        }
      };
      await Promise.all(Array.from({ length: atOnce }, next));
      return report;
    },
  };
}

/** As the matchers of test runners: a member that is undefined is none. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).flatMap(([key, one]) => (one === undefined ? [] : [[key, plain(one)]])));
}
