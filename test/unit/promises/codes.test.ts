import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { type PublicCode, STATUS } from "../../../src/protocol.ts";
import { memoryBoard, type ScoresOptions, scores } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, forged, MODERATOR, type TestGate, testGate } from "../../helpers/gate.ts";

const BOARDS: ScoresOptions["boards"] = { main: { names: "typed" }, runs: { minLevel: "replayed" }, unique: { names: { unique: true } } };
const one = (name: string) => ({ [name]: [{ name: "one", limit: 1, window: 60, by: "ip" as const }] });

/** A gate whose board takes typed names, another level on `runs`, and each name once on `unique`. */
function gate(options: Parameters<typeof testGate>[0] = {}, board = memoryBoard()): TestGate {
  const at = testGate({ features: [scores({ board, boards: BOARDS ?? {}, moderation: { tokens: [MODERATOR] } })], ...options });
  return { ...at, board };
}

const submit = async (at: TestGate, body: unknown, token?: string, headers = {}): Promise<Response> =>
  at.send("POST", "/scores", body, { ...bearer(token ?? (await at.session())), ...headers });

async function commitmentOf(at: TestGate, token: string): Promise<string> {
  const { commitment }: { commitment: string } = await (await at.send("POST", "/commitments", { score: 5 }, bearer(token))).json();
  return commitment;
}

/** How each public code that concerns sessions and scores is reached. */
const PROVOKE: Partial<Record<PublicCode, () => Promise<Response>>> = {
  BODY_INVALID: async () => submit(gate(), "{"),
  TURNSTILE_TOKEN_MISSING: async () => gate().send("POST", "/session", {}),
  SESSION_MISSING: async () => gate().send("POST", "/scores", { score: 1 }),
  async SESSION_INVALID() {
    const at = gate();
    return submit(at, { score: 1 }, forged(await at.session()));
  },
  async SESSION_EXPIRED() {
    const at = gate();
    const token = await at.session();
    at.advance(306_000);
    return submit(at, { score: 1 }, token);
  },
  async SESSION_EXHAUSTED() {
    const at = gate({ session: { uses: 1 } });
    const token = await at.session();
    await submit(at, { score: 1 }, token);
    return submit(at, { score: 2 }, token);
  },
  async SESSION_REVOKED() {
    const at = gate();
    const token = await at.session();
    await at.gate.sessions.revoke((await at.gate.sessions.verify(token)).jti);
    return submit(at, { score: 1 }, token);
  },
  UNAUTHORIZED: async () => gate().send("DELETE", "/scores/some-row", undefined, bearer("a bearer of nobody, 32 characters long")),
  VERIFICATION_FAILED: async () => gate().send("POST", "/session", { turnstileToken: "made-up-token-of-a-stranger" }),
  async SCOPE_DENIED() {
    const at = gate({ session: { actions: ["comment"] } });
    const turnstileToken = at.emulator.control.mint({ action: "comment", hostname: "game.example" });
    const { sessionToken }: { sessionToken: string } = await (await at.send("POST", "/session", { turnstileToken })).json();
    return submit(at, { score: 1 }, sessionToken);
  },
  ORIGIN_NOT_ALLOWED: async () => submit(gate(), { score: 1 }, undefined, { origin: "https://evil.example" }),
  async PLAYER_BANNED() {
    const at = gate();
    const token = await at.session();
    await at.board.ban((await at.gate.sessions.verify(token)).sub, true, "main");
    return submit(at, { score: 1 }, token);
  },
  LEVEL_TOO_LOW: async () => submit(gate(), { score: 1, board: "runs" }),
  async WRONG_PLAYER() {
    const at = gate();
    return submit(at, { commitment: await commitmentOf(at, await at.session()) });
  },
  NOT_FOUND: async () => gate().send("GET", "/scores?board=nowhere"),
  METHOD_NOT_ALLOWED: async () => gate().send("PUT", "/scores"),
  async COMMITMENT_USED() {
    const at = gate();
    const token = await at.session();
    const commitment = await commitmentOf(at, token);
    const { id } = await (await submit(at, { commitment }, token)).json();
    await at.board.remove(id);
    return submit(at, { commitment }, token);
  },
  async COMMITMENT_EXPIRED() {
    const at = gate();
    const commitment = await commitmentOf(at, await at.session());
    at.advance(906_000);
    return submit(at, { commitment });
  },
  BODY_TOO_LARGE: async () => submit(gate(), { score: 1, name: "x".repeat(9000) }),
  UNSUPPORTED_MEDIA_TYPE: async () => submit(gate(), "score=1", undefined, { "content-type": "text/plain" }),
  SCORE_INVALID: async () => submit(gate(), { score: 2 ** 40 }),
  NAME_INVALID: async () => submit(gate(), { score: 1, name: "a\u202eb" }),
  async NAME_TAKEN() {
    const at = gate();
    await submit(at, { score: 1, name: "Ada", board: "unique" });
    return submit(at, { score: 2, name: "\u0410da", board: "unique" });
  },
  DATA_INVALID: async () => submit(gate(), { score: 1, data: { ship: "red" } }),
  COMMITMENT_INVALID: async () => submit(gate(), { commitment: "a.b.c" }),
  async RATE_LIMITED() {
    const at = gate({ limits: one("scores.write") });
    const token = await at.session();
    await submit(at, { score: 1 }, token);
    return submit(at, { score: 2 }, token);
  },
  INTERNAL: async () => submit(gate({}, { ...memoryBoard(), submit: () => Promise.reject(new Error("A defect")) }), { score: 1 }),
  async UNAVAILABLE() {
    const inner = memoryStore();
    let broken = false;
    const at = gate({
      store: {
        ...inner,
        spend: async (quotas) =>
          broken ? Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot spend: it is down")) : inner.spend(quotas),
      },
    });
    const token = await at.session();
    broken = true;
    return submit(at, { score: 1 }, token);
  },
};

describe("every public code that concerns sessions and scores is reached, with its status and headers", () => {
  it.each(Object.entries(PROVOKE))("%s", async (code, provoke) => {
    const answer = await provoke();
    const body: Record<string, unknown> = await answer.json();
    expect([body["error"], answer.status]).toEqual([code, Object.entries(STATUS).find(([name]) => name === code)?.[1]]);
    // Nothing internal: the code, when to come back, and nothing else.
    const wait = answer.status === 429 || answer.status === 503 ? ["retryAfter"] : [];
    expect(Object.keys(body)).toEqual(["error", ...wait]);
    if (wait.length > 0) {
      expect(answer.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
      expect(body["retryAfter"]).toBe(Number(answer.headers.get("retry-after")));
    } else expect(answer.headers.get("retry-after")).toBeNull();
    expect(answer.headers.get("www-authenticate")).toBe(
      answer.status !== 401 ? null : code === "SESSION_MISSING" || code === "UNAUTHORIZED" ? "Bearer" : 'Bearer error="invalid_token"',
    );
    expect(answer.headers.get("allow")).toBe(answer.status === 405 ? "POST, GET, HEAD, OPTIONS" : null);
    expect([answer.headers.get("cache-control"), answer.headers.get("cdn-cache-control")]).toEqual(["no-store", "no-store"]);
    expect(answer.headers.get("content-type")).toBe("application/json");
    expect(answer.headers.get("vary")).toContain("Origin");
  });

  it("the statuses are those of the protocol", () => {
    const table = `400 BODY_INVALID TURNSTILE_TOKEN_MISSING PATH_AMBIGUOUS
      401 SESSION_MISSING SESSION_INVALID SESSION_EXPIRED SESSION_EXHAUSTED SESSION_REVOKED UNAUTHORIZED
      403 VERIFICATION_FAILED SCOPE_DENIED STEP_UP_REQUIRED ORIGIN_NOT_ALLOWED PLAYER_BANNED LEVEL_TOO_LOW WRONG_PLAYER
      403 TURNSTILE_REQUIRED CLEARANCE_EXPIRED REQUEST_DENIED SECURITY_VERIFICATION_FAILED
      404 NOT_FOUND GAME_UNKNOWN JOB_UNKNOWN
      405 METHOD_NOT_ALLOWED
      413 BODY_TOO_LARGE LOG_TOO_LARGE
      415 UNSUPPORTED_MEDIA_TYPE
      409 COMMITMENT_USED NAME_TAKEN RUN_USED CHECKPOINT_CONFLICT REQUEST_REPLAYED JOB_HELD
      410 COMMITMENT_EXPIRED TICKET_EXPIRED VERSION_RETIRED
      422 SCORE_INVALID NAME_INVALID DATA_INVALID FORM_INVALID COMMITMENT_INVALID TICKET_INVALID LOG_INVALID TOO_FAST TOO_SLOW CHAIN_INVALID
      422 REPLAY_MISMATCH NOT_FINISHED
      429 RATE_LIMITED SECURITY_VERIFICATION_LIMITED
      500 INTERNAL
      503 UNAVAILABLE`;
    const lines = table.split("\n").map((line) => line.trim().split(" "));
    const expected = Object.fromEntries(lines.flatMap(([status, ...codes]) => codes.map((code) => [code, Number(status)])));
    expect(STATUS).toEqual(expected);
  });
});
