import { describe, expect, it } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import { createSubkeys } from "../../../src/tokens/index.ts";
import { encodeBase64url } from "../../../src/util/base64url.ts";
import { concatBytes, lp } from "../../../src/util/bytes.ts";
import { bearer, SECRET, type TestGate, testGate } from "../../helpers/gate.ts";
import { challengeOf, POLICY } from "../clearance/tools.ts";
import { forge } from "../tokens/forge.ts";

/** Seconds: when the gates of this file begin. */
const AT = Date.UTC(2026, 10, 20, 12) / 1000;
/** What no claim of ours is, but where it says so. */
const ODD = [null, true, false, 0, -1, 7, 1.5, 1e300, "", "7", [], {}, ["a"], [7], [""], [null], [["a"]], { a: 1 }];

/** Values of ODD that a claim may have. */
type Fits = (value: unknown) => boolean;
const text: Fits = (value) => typeof value === "string" && value !== "";
const flag: Fits = (value) => typeof value === "boolean";
const list: Fits = (value) => Array.isArray(value) && value.length > 0 && value.every(text);
const count: Fits = (value) => Number.isInteger(value) && Number(value) > 0 && Number(value) < 1000;

/** Signs claims as whoever has the secret can. */
const signed = (typ: string, claims: Record<string, unknown>): string =>
  forge({ alg: "HS256", typ }, { v: 1, jti: `id-${Math.random()}`, iat: AT, exp: AT + 300, aud: "game.example", ...claims }, SECRET);

/** Each claim with each value that it must not have, and without it where it must be there. */
function* spoilt(
  claims: Record<string, unknown>,
  fits: Record<string, Fits>,
  optional: readonly string[] = [],
): Generator<[string, unknown, Record<string, unknown>]> {
  for (const [name, isRight] of Object.entries(fits)) {
    for (const value of ODD) if (!isRight(value)) yield [name, value, { ...claims, [name]: value }];
    if (!optional.includes(name)) yield [name, undefined, { ...claims, [name]: undefined }];
  }
}

describe("a token that is signed and whose claims are of another type is refused, and is nobody's error", () => {
  const SESSION = { sub: "anna", acc: undefined, auth_time: AT, scope: ["score_submit"], uses: 5 };
  it("a session", async () => {
    const at = testGate();
    const fits = { sub: text, acc: flag, auth_time: count, scope: list, uses: count, bnd: text, eid: text, deg: flag };
    const all = [...spoilt(SESSION, fits, ["acc", "bnd", "eid", "deg"])];
    expect(all.length).toBeGreaterThan(100);
    for (const [name, value, claims] of all) await refused(at, name, value, signed("gp-session+jwt", claims));
    for (const claims of [{ iat: AT - 0.5 }, { uses: 1001 }, { auth_time: 9e12 }, { sub: ["anna"] }]) {
      await refused(at, "session", claims, signed("gp-session+jwt", { ...SESSION, ...claims }));
    }
    // What they are changes of is good.
    const good = signed("gp-session+jwt", { ...SESSION, bnd: "x", eid: "y", deg: false });
    expect((await at.send("POST", "/scores", { score: 1 }, bearer(good))).status).toBe(201);
    expect(at.errors).toEqual([]);
  });

  async function refused({ send, gate }: TestGate, name: string, value: unknown, token: string): Promise<void> {
    const answer = await send("POST", "/scores", { score: 1 }, { "x-gatepass-session": token });
    expect([name, value, answer.status, (await answer.json()).error]).toEqual([name, value, 401, "SESSION_INVALID"]);
    await expect(gate.sessions.verify(token)).rejects.toMatchObject({ code: "ERR_TOKEN_CLAIM" });
  }

  it("a player's token names nobody: the solve does", async () => {
    const at = testGate();
    for (const [name, value, claims] of spoilt({ sub: "anna" }, { sub: text, acc: () => false })) {
      const playerToken = signed("gp-player+jwt", claims);
      const answer = await at.send("POST", "/session", { turnstileToken: await at.mint(), playerToken });
      const { sub } = await at.gate.sessions.verify((await answer.json()).sessionToken);
      // Null, false and zero say that it is no account, as nothing does.
      const none = name === "acc" && !value;
      expect([name, value, sub === "anna"]).toEqual([name, value, none]);
      at.advance(3000);
    }
    expect(at.errors).toEqual([]);
  });

  it("a commitment", async () => {
    const at = testGate();
    const token = await at.session();
    const { sub } = await at.gate.sessions.verify(token);
    const COMMITMENT = { score: 5, ts: AT * 1000, game: "strict", board: "strict", sub, level: "claimed" };
    const whole: Fits = (value) => Number.isSafeInteger(value);
    const fits = {
      score: whole,
      ts: whole,
      game: text,
      board: text,
      sub: text,
      level: () => false,
      run: text,
      flags: (value: unknown) => list(value) || String(value) === "",
    };
    for (const [name, value, claims] of spoilt(COMMITMENT, fits, ["run", "flags"])) {
      if (name === "flags" && Array.isArray(value) && value.length === 0) continue;
      const answer = await at.send("POST", "/scores", { commitment: signed("gp-score+jwt", claims) }, bearer(token));
      expect([name, value, answer.status, (await answer.json()).error]).toEqual([name, value, 422, "COMMITMENT_INVALID"]);
    }
    for (const claims of [{ exp: AT + 60.5 }, { iat: AT - 0.5 }, { level: "certain" }, { level: "CLAIMED" }]) {
      const answer = await at.send("POST", "/scores", { commitment: signed("gp-score+jwt", { ...COMMITMENT, ...claims }) }, bearer(token));
      expect([claims, answer.status]).toEqual([claims, 422]);
    }
    expect((await at.send("POST", "/scores", { commitment: signed("gp-score+jwt", COMMITMENT) }, bearer(token))).status).toBe(201);
    expect(at.errors).toEqual([]);
  });

  it("a challenge", async () => {
    const at = testGate({ features: [clearance({ policy: POLICY })] });
    const dev = await mac("clearance.device", "phone-1");
    const CHALLENGE = {
      endpoint: "POST /v1/many",
      rid: "r-1",
      act: "v1_many",
      scope: ["/v1/many"],
      ttl: 600,
      max_uses: 3,
      risk: 0,
      dev,
      ip: "x",
    };
    const risk: Fits = (value) => typeof value === "number" && value >= 0 && value <= 100;
    const fits = { endpoint: text, rid: text, act: text, scope: list, ttl: count, max_uses: count, risk, sub: text, ip: text, ses: text };
    const verify = (claims: Record<string, unknown>): Promise<Response> =>
      at.send("POST", "/security/turnstile/verify", {
        challenge_id: `chal_${signed("gp-challenge+jwt", claims)}`,
        turnstile_token: "token",
        original_request_id: "r-1",
        device_id: "phone-1",
      });
    for (const [name, value, claims] of spoilt(CHALLENGE, fits, ["sub", "ip", "ses"])) {
      expect([name, value, (await verify(claims)).status, at.events.at(-1)?.reason]).toEqual([name, value, 403, "challenge_invalid"]);
    }
    for (const claims of [{ exp: AT + 60.5 }, { iat: AT - 0.5 }, { max_uses: 1001 }, { ttl: 1801 }, { risk: 101 }]) {
      await verify({ ...CHALLENGE, ...claims });
      expect([claims, at.events.at(-1)?.reason]).toEqual([claims, "challenge_invalid"]);
    }
    // What they are changes of goes as far as Cloudflare, which knows no such token.
    await verify(CHALLENGE);
    expect(at.events.at(-1)?.reason).toBe("invalid");
    expect(at.errors).toEqual([]);
  });

  it("a clearance", async () => {
    const at = testGate({ features: [clearance({ policy: POLICY })] });
    const handler = at.gate.guard((_, { level }) => Response.json({ level }));
    const call = (token: string): Promise<Response> =>
      handler(
        new Request("https://game.example/v1/many", { method: "POST", headers: { "x-device-id": "phone-1", "x-app-clearance": token } }),
      );
    const device_id = await mac("clearance.device", "phone-1");
    const CLEARANCE = { scope: ["/v1/many"], max_uses: 3, challenge_id: "c-1", risk: 0, until: AT + 900, device_id };
    const risk: Fits = (value) => typeof value === "number" && value >= 0 && value <= 100;
    const fits = {
      scope: list,
      max_uses: count,
      challenge_id: text,
      risk,
      until: count,
      sub: text,
      session_id: text,
      ip: text,
      eid: text,
      deg: flag,
    };
    for (const [name, value, claims] of spoilt(CLEARANCE, fits, ["sub", "session_id", "ip", "eid", "deg"])) {
      const answer = await call(signed("gp-clearance+jwt", claims));
      const { error } = await challengeOf(answer);
      expect([name, value, error, at.events.at(-2)?.reason]).toEqual([name, value, "TURNSTILE_REQUIRED", "token_claim"]);
    }
    for (const claims of [{ exp: AT + 60.5 }, { iat: AT - 0.5 }, { until: 9e12 }]) {
      expect([claims, (await call(signed("gp-clearance+jwt", { ...CLEARANCE, ...claims }))).status]).toEqual([claims, 403]);
    }
    expect(await (await call(signed("gp-clearance+jwt", CLEARANCE))).json()).toEqual({ level: "clearance" });
    expect(at.errors).toEqual([]);
  });
});

/** As the gate binds tokens. */
async function mac(...parts: string[]): Promise<string> {
  return encodeBase64url((await createSubkeys(SECRET).mac("bind/1", concatBytes(...parts.map(lp)))).subarray(0, 16));
}
