// A suite that runs where the bindings are, in workerd: this half lists its tests and runs the one that is asked for.
import type { TestKit } from "../../../src/testing/board.ts";

/** What a test came to. */
export interface Outcome {
  error?: string;
}

/** Answers `GET /` with the names of the tests that `declare` declares, and `POST /` with the outcome of the one whose name is the body. */
export async function serveSuite(request: Request, declare: (kit: TestKit) => void): Promise<Response> {
  const tests = new Map<string, () => Promise<void>>();
  const path: string[] = [];
  declare({
    describe(name, suite) {
      path.push(name);
      suite();
      path.pop();
    },
    it: (name, test) => tests.set([...path, name].join(" > "), test),
    expect: (value) => ({ toEqual: (expected) => equal(value, expected) }),
  });
  if (request.method === "GET") return Response.json([...tests.keys()]);
  const name = await request.text();
  const test = tests.get(name);
  let outcome: Outcome = { error: `There is no test "${name}"` };
  if (test !== undefined) {
    outcome = await test().then(
      () => ({}),
      (error: unknown) => ({ error: error instanceof Error ? `${error.stack}\n${error.cause}` : String(error) }),
    );
  }
  return Response.json(outcome);
}

/** As the matchers of test runners have it: a member that is undefined is none. */
function equal(actual: unknown, expected: unknown): void {
  const [a, b] = [stable(actual), stable(expected)];
  if (a !== b) throw new Error(`Expected ${b}\nReceived ${a}`);
}

function stable(value: unknown): string | undefined {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part === undefined || (typeof part === "number" && !Number.isFinite(part))) return part === undefined ? undefined : String(part);
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)));
  });
}
