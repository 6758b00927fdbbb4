import { describe, expect, it } from "vitest";
import { bearer, ORIGIN, type TestGate, testGate } from "../../helpers/gate.ts";
import { codeOf } from "../scores/kit.ts";

/** Answers after other work has had its turn, as a hook that asks a database does. */
const later = <T>(value: T): Promise<T> => new Promise((resolve) => setTimeout(() => resolve(value), 5));

describe("an origin guard that answers later", () => {
  it.each(["enforce", "monitor", "off"] as const)("refuses all the same, in every route, in protect and in guard: %s", async (mode) => {
    const at = testGate({ origin: () => later(false), mode });
    for (const [method, path] of [
      ["GET", "/scores"],
      ["POST", "/scores"],
      ["POST", "/session"],
      ["POST", "/commitments"],
    ] as const) {
      expect([path, ...(await codeOf(await at.send(method, path, method === "GET" ? undefined : {})))]).toEqual([
        path,
        403,
        "REQUEST_DENIED",
      ]);
    }
    const admission = await at.gate.protect(new Request(`${ORIGIN}/buy`, { method: "POST" }));
    expect(admission).toMatchObject({ ok: false, code: "REQUEST_DENIED" });
    let reached = false;
    const guarded = at.gate.guard(() => {
      reached = true;
      return new Response();
    });
    expect([(await guarded(new Request(`${ORIGIN}/buy`, { method: "POST" }))).status, reached]).toEqual([403, false]);
    const reasons = at.events.filter(({ type }) => type === "high_risk_api_blocked").map(({ reason }) => reason);
    expect(new Set(reasons)).toEqual(new Set(["direct_to_origin"]));
  });

  it("lets through what it says yes to, and fails closed where it rejects", async () => {
    const open = testGate({ origin: () => later(true) });
    expect((await open.send("GET", "/scores")).status).toBe(200);
    const broken = testGate({ origin: () => later(0).then(() => Promise.reject(new Error("down"))) });
    expect((await broken.send("GET", "/scores")).status).toBe(500);
    await expect(broken.gate.protect(new Request(`${ORIGIN}/buy`, { method: "POST" }))).rejects.toThrow("down");
  });
});

it.each(["no", 1, {}, { ok: false }, [], null, undefined, new Response(null, { status: 403 })])(
  "an origin guard in JavaScript that answers %j has not said yes",
  async (answer) => {
    const at: TestGate = Reflect.apply(testGate, undefined, [{ origin: () => answer }]);
    expect(await codeOf(await at.send("POST", "/session", {}))).toEqual([403, "REQUEST_DENIED"]);
    expect(await at.gate.protect(new Request(`${ORIGIN}/buy`, { method: "POST" }))).toMatchObject({ code: "REQUEST_DENIED" });
  },
);

describe("a session's subject that is known later", () => {
  it("is the player: of the session, of its rows and of what protect tells", async () => {
    const at = testGate({ session: { subject: () => later("account-7") } });
    const token = await at.session();
    expect((await at.gate.sessions.verify(token)).sub).toBe("account-7");
    expect((await at.send("POST", "/scores", { score: 5 }, bearer(token))).status).toBe(201);
    expect(await at.board.ofPlayer({ board: "main", period: "all", player: "account-7" })).toMatchObject({ score: 5 });
    const request = new Request(`${ORIGIN}/buy`, { method: "POST", headers: { ...bearer(token), origin: ORIGIN } });
    expect(await at.gate.protect(request, { action: "score_submit" })).toMatchObject({ ok: true, player: "account-7" });
  });

  it("of another account refuses the session of the one before", async () => {
    let account = "account-7";
    const at = testGate({ session: { subject: () => later(account) } });
    const token = await at.session();
    account = "account-8";
    expect(await codeOf(await at.send("POST", "/scores", { score: 5 }, bearer(token)))).toEqual([401, "SESSION_INVALID"]);
  });

  it.each(["", "x".repeat(128)])("may be none or 128 characters: %j", async (account) => {
    const at = testGate({ session: { subject: () => later(account) } });
    expect((await at.gate.sessions.verify(await at.session())).sub).toEqual(account || expect.stringMatching(/^[\w-]{22}$/));
  });

  it("of 129 characters is a mistake of the application's, not another player", async () => {
    const at = testGate({ session: { subject: () => later("x".repeat(129)) } });
    expect((await at.send("POST", "/session", { turnstileToken: await at.mint() })).status).toBe(500);
    expect(at.errors.map(String)).toEqual([expect.stringContaining("session.subject")]);
  });
});
