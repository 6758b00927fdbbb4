import fc from "fast-check";
import { expect, it } from "vitest";
import { STATUS } from "../../../src/protocol.ts";
import { bearer, MODERATOR, ORIGIN, testGate } from "../../helpers/gate.ts";

const REQUESTS = 20_000;
const LIMITS = Object.fromEntries(
  ["session", "scores.read", "scores.write", "scores.commit", "moderation"].map((name) => [
    name,
    [{ name: "fuzz", limit: 1_000_000, window: 60, by: "ip" as const }],
  ]),
);

const text = fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: "binary", maxLength: 40 }));
const segment = fc.oneof(
  fc.constantFrom("scores", "session", "commitments", "hide", "ban", "purge", "..", ".", "", "%2e%2e", "%2F", "%00", "%ff"),
  text,
);
const path = fc.oneof(
  fc.constantFrom(
    "/session",
    "/scores",
    "/commitments",
    "/scores/x",
    "/scores/x/hide",
    "/scores/x/ban",
    "/scores/x/purge",
    "/scores?limit=5&around=x",
  ),
  fc
    .array(segment, { maxLength: 4 })
    .map((parts) => `/${parts.map((part) => part.replace(/[^\x21-\x7e]/g, encodeURIComponentSafe)).join("/")}`),
  fc
    .tuple(fc.constantFrom("limit", "period", "board", "around", "me"), text)
    .map(([name, value]) => `/scores?${name}=${encodeURIComponentSafe(value)}`),
);
const number = fc.constantFrom("NaN", "1e400", "-0", "1.5", "-1", "9007199254740993", '"7"', "null", "{}", "[]", "16777216");
const body = fc.oneof(
  fc.constant(undefined),
  text,
  fc.json({ maxDepth: 4 }),
  number.map((score) => `{"score":${score}}`),
  number.map((score) => `{"board":"main","score":${score}}`),
  fc.record({ turnstileToken: text }, { requiredKeys: [] }).map((value) => JSON.stringify(value)),
  fc.record({ commitment: text, name: text }).map((value) => JSON.stringify(value)),
  fc.record({ score: fc.integer(), name: text, admin: fc.boolean() }).map((value) => JSON.stringify(value)),
  fc.nat({ max: 10_000 }).map((length) => `{"score":"${"9".repeat(length)}"}`),
);
const headerName = fc.constantFrom(
  "authorization",
  "x-gatepass-session",
  "x-gatepass-player",
  "x-turnstile-token",
  "origin",
  "content-type",
  "content-length",
  "x-forwarded-for",
  "cf-connecting-ip",
  "x-request-id",
  "x-device-id",
  "access-control-request-method",
  "host",
  "expect",
  "range",
  "cookie",
);
/** What a client can put into a header: no controls, Latin-1. */
const value = text.map((written) => written.replace(/[^\x20-\x7e\xa0-\xff]/g, ""));
const headers = fc.array(
  fc.tuple(headerName, fc.oneof(value, fc.constantFrom("application/json", "null", "Bearer ", "Bearer a.b.c", ORIGIN))),
  { maxLength: 4 },
);
const method = fc.constantFrom("GET", "POST", "POST", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD");
const credential = fc.constantFrom("none", "session", "moderator");

function encodeURIComponentSafe(value: string): string {
  return encodeURIComponent(value.replace(/\p{Surrogate}/gu, "?"));
}

it(`${REQUESTS} generated requests: no 5xx, no unhandled rejection, only documented codes, the board unchanged`, async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  const at = testGate({ limits: LIMITS, session: { uses: 1000 } });
  let token = await at.session();
  let sent = 0;
  const seen = new Map<number, number>();
  await fc.assert(
    fc.asyncProperty(method, path, headers, body, credential, async (verb, where, pairs, content, who) => {
      if (sent % 500 === 499) token = await at.session();
      const request = build(verb, where, pairs, content, who === "session" ? bearer(token) : who === "moderator" ? bearer(MODERATOR) : {});
      if (request === undefined) return;
      sent += 1;
      const answer = await at.gate.fetch(request);
      seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      expect(answer.status, `${verb} ${where} ${content}`).toBeLessThan(500);
      if (answer.status >= 400 && verb !== "HEAD") {
        const { error }: { error: keyof typeof STATUS } = await answer.json();
        expect(STATUS[error], `${error} of ${verb} ${where}`).toBe(answer.status);
      }
    }),
    { numRuns: REQUESTS, seed: 20261120, endOnFailure: true },
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
  expect(at.errors).toEqual([]);
  expect(await at.board.top({ board: "main", period: "all", limit: 10 })).toEqual([]);
  expect(sent).toBeGreaterThan(REQUESTS * 0.99);
  // The run reaches past the front door: refusals of the body, of the session, of the value were all seen.
  for (const status of [200, 400, 401, 403, 404, 405, 413, 415, 422])
    expect(seen.get(status) ?? 0, `requests that ended with ${status}`).toBeGreaterThan(0);
}, 120_000);

/** Undefined where no client could send such a request. */
function build(
  verb: string,
  where: string,
  pairs: [string, string][],
  content: string | undefined,
  extra: Record<string, string>,
): Request | undefined {
  try {
    const all = new Headers({ "content-type": "application/json" });
    for (const [name, value] of pairs) all.set(name, value);
    for (const [name, value] of Object.entries(extra)) all.set(name, value);
    const hasBody = verb !== "GET" && verb !== "HEAD" && content !== undefined;
    return new Request(`${ORIGIN}/api${where}`, { method: verb, headers: all, body: hasBody ? content : null });
  } catch {
    return undefined;
  }
}
