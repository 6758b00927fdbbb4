import { createHash, createHmac, hkdfSync } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { GateOptions } from "../../../src/gate/types.ts";
import { usesKey } from "../../../src/store/index.ts";
import { ACTION, bearer, codeOf, emulated, kit, ORIGIN, SECRET } from "./kit.ts";

/** A length of four bytes, then the text. */
function framed(...texts: string[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(Buffer.byteLength(text));
      return [size, Buffer.from(text)];
    }),
  );
}

/** Computed without a line of ours: another version of the library must come to the same. */
function mac(purpose: string, ...texts: string[]): string {
  const key = Buffer.from(hkdfSync("sha256", SECRET, "gatepass", purpose, 32));
  return createHmac("sha256", key)
    .update(framed(...texts))
    .digest()
    .subarray(0, 16)
    .toString("base64url");
}

describe("what is derived from the secret, by fixed rules", () => {
  const solve = async (options: Partial<GateOptions>, headers: Record<string, string> = {}) => {
    const at = kit(options);
    const token = at.mint(undefined, { ephemeralId: "x:an-ephemeral-id" });
    const { sessionToken } = await (await at.exchange(token, {}, headers)).json();
    return { at, token, claims: await at.gate.sessions.verify(sessionToken) };
  };

  it("a session's id, player and ephemeral id", async () => {
    const { token, claims } = await solve({ issuer: "gate" });
    expect(claims.jti).toBe(mac("jti/1", "gate", "game.example", token));
    expect(claims.sub).toBe(mac("jti/1", "player", token));
    expect(claims.eid).toBe(mac("bind/1", "eid", "x:an-ephemeral-id"));
    expect(claims.bnd).toBeUndefined();
  });

  it("what a session is bound to", async () => {
    expect((await solve({ session: { bind: "ip-prefix" } })).claims.bnd).toBe(mac("bind/1", "session", "ip-prefix:203.0.113"));
    const headers = { "x-device-id": "phone-1" };
    expect((await solve({ session: { bind: "device" } }, headers)).claims.bnd).toBe(mac("bind/1", "session", "device:phone-1"));
    expect((await solve({ session: { bind: "device" } })).claims.bnd).toBe(mac("bind/1", "session", "device:"));
  });

  it("the id of a fresh token without a secret is its digest", async () => {
    const at = kit({ secrets: undefined });
    const token = at.mint();
    expect((await at.write({ "x-turnstile-token": token })).status).toBe(201);
    const keys = at.counted.spends.flat().map(({ key }) => key);
    expect(keys).toContain(usesKey("jti", createHash("sha256").update(token).digest("base64url")));
  });
});

describe("a fresh token that nobody verifies", () => {
  it.each(["off", "monitor"] as const)("mode %s: the write goes on, and no session is made", async (mode) => {
    const at = kit({ mode, turnstile: { ...emulated, secret: "" } });
    expect((await at.write({ "x-turnstile-token": at.mint() })).status).toBe(201);
    expect(at.admissions[0]).toMatchObject({ ok: true, dryRun: true, level: "none" });
    const result = await at.gate.sessions.exchange(at.mint());
    expect(result).toMatchObject({ ok: false, code: "VERIFICATION_FAILED" });
    const rejected = at.events.filter(({ type }) => type === "session_rejected");
    expect(rejected.map(({ outcome, code, reason, dry_run }) => [outcome, code, reason, dry_run])).toEqual(
      mode === "off" ? [["deny", "VERIFICATION_FAILED", "mode_off", true]] : [],
    );
    expect(at.types()).not.toContain("turnstile_token_received");
  });

  it("an empty one is missing, and Cloudflare is not asked", async () => {
    const at = kit();
    expect(await at.gate.sessions.exchange("")).toMatchObject({ ok: false, code: "TURNSTILE_TOKEN_MISSING" });
    expect(at.events.at(-1)).toMatchObject({ type: "session_rejected", code: "TURNSTILE_TOKEN_MISSING", reason: "missing" });
    expect(at.emulator.control.counts().siteverify).toBe(0);
  });

  it.each([
    ["no answer in time", { kind: "hang" }, "timeout"],
    ["an error of the provider's", { kind: "status" }, "unavailable"],
  ] as const)("%s is an event of the provider's, with its reason", async (_, fault, reason) => {
    const at = kit({ turnstile: { ...emulated, timeoutMs: 500 } });
    at.emulator.control.fault({ ...fault, times: 2 });
    expect(await codeOf(await at.exchange(at.mint()))).toEqual([503, "UNAVAILABLE"]);
    expect(at.events.find(({ type }) => type.startsWith("turnstile_siteverify"))).toMatchObject({
      type: "turnstile_siteverify_timeout",
      outcome: "error",
      code: "UNAVAILABLE",
      reason,
      latency_ms: expect.any(Number),
    });
  });
});

describe("whose session it is", () => {
  const jwt = (header: string): string => `${Buffer.from(header).toString("base64url")}.e30.${"A".repeat(43)}`;

  it("a bearer of the application's is none, however often it comes; ours is told by its type, however it is spelt", async () => {
    const at = kit();
    const foreign = jwt('{"alg":"HS256","typ":"JWT"}');
    for (let i = 0; i < 3; i++) expect(await codeOf(await at.write(bearer(foreign)))).toEqual([401, "SESSION_MISSING"]);
    for (const header of ['{"typ":"gp-session+jwt"}', '{ "typ" : "gp-x" }', '{"TYP"\t:\n"GP-x"}']) {
      expect(await codeOf(await at.write(bearer(jwt(header))))).toEqual([401, "SESSION_INVALID"]);
      expect(await codeOf(await at.write(bearer(foreign)))).toEqual([401, "SESSION_MISSING"]);
    }
    for (const header of ['{"typ":"ap-gp-x"}', '{"type":"gp-x"}', '{"typ":5}']) {
      expect(await codeOf(await at.write(bearer(jwt(header))))).toEqual([401, "SESSION_MISSING"]);
    }
  });

  it("looks at 400 characters of a bearer's header, and at no bearer without a dot", async () => {
    const at = kit();
    const padded = (size: number): string => jwt(`{"typ":"gp-x","p":"${"x".repeat(size)}"}`);
    const at400 = padded(279);
    expect(at400.indexOf(".")).toBe(400);
    expect(await codeOf(await at.write(bearer(at400)))).toEqual([401, "SESSION_INVALID"]);
    expect(await codeOf(await at.write(bearer(padded(282))))).toEqual([401, "SESSION_MISSING"]);
    const { token } = await at.session();
    expect(await codeOf(await at.write(bearer(token.replaceAll(".", ""))))).toEqual([401, "SESSION_MISSING"]);
  });

  it.each([
    ["Bearer  ", 201],
    ["bearer ", 201],
    ["BEARER ", 201],
    ["Basic ", 401],
    ["XBearer ", 401],
    ["Bearer", 401],
  ])("the scheme %j: %i", async (scheme, status) => {
    const at = kit();
    const { token } = await at.session();
    expect((await at.write({ authorization: `${scheme}${token}` })).status).toBe(status);
  });

  it("the header of our own wins over a bearer", async () => {
    const at = kit();
    const { token } = await at.session();
    expect((await at.write({ "x-gatepass-session": token, ...bearer("a.b.c") })).status).toBe(201);
    expect(await codeOf(await at.write({ "x-gatepass-session": "a.b.c", ...bearer(token) }))).toEqual([401, "SESSION_INVALID"]);
  });
});

describe("the sweep", () => {
  it("tells what it removed, and goes on while there is more", async () => {
    const rounds = [1000, 1000, 7, 0];
    const asked: unknown[] = [];
    const at = kit();
    const { sweep: _, ...store } = at.kernel.store;
    const swept = kit({ features: [] });
    Object.assign(swept.kernel.store, store, {
      async sweep(max: number) {
        asked.push(max);
        return rounds.shift() ?? 0;
      },
    });
    expect(await swept.gate.run("sweep")).toEqual({ job: "sweep", swept: 2007, kept: 0, tookMs: 0 });
    expect(asked).toEqual([1000, 1000, 1000]);
    const said = (): unknown[] =>
      swept.events.filter(({ type }) => type === "cleanup_swept").map(({ outcome, detail }) => [outcome, detail]);
    const thousand = ["info", "1000 entries of the store"];
    expect(said()).toEqual([thousand, thousand, ["info", "7 entries of the store"]]);
    expect(await swept.gate.run("sweep")).toEqual({ job: "sweep", swept: 0, kept: 0, tookMs: 0 });
    expect(said()).toHaveLength(3);
  });

  it("does nothing where the store has none, and names the jobs that there are", async () => {
    const at = kit();
    Reflect.deleteProperty(at.kernel.store, "sweep");
    expect(await at.gate.run("sweep")).toEqual({ job: "sweep", swept: 0, kept: 0, tookMs: 0 });
    await expect(at.gate.run("sweeep")).rejects.toThrow(new TypeError('Unknown job "sweeep": expected one of sweep'));
  });

  it("stops after 25 s, and says where to go on", async () => {
    const at = kit({
      features: [
        () => ({
          name: "slow",
          jobs: {
            async slow({ cursor = "0" }) {
              at.advance(9000);
              return { job: "slow", swept: 1, kept: 1, tookMs: 9000, next: `${Number(cursor) + 1}` };
            },
          },
        }),
      ],
    });
    expect(await at.gate.run("slow")).toEqual({ job: "slow", swept: 3, kept: 3, tookMs: 27_000, next: "3" });
  });
});

describe("what an admission says", () => {
  it("without a guard it has the rate headers and no other; claims where a session was spent and nowhere else", async () => {
    const at = kit();
    const { token, claims } = await at.session();
    await at.write(bearer(token));
    await at.write({ "x-turnstile-token": at.mint() });
    at.admit = { open: true, limits: ["read"] };
    await at.write(bearer(token));
    const said = at.admissions.map((admission) => admission.ok && [admission.level, admission.claims?.jti, [...admission.headers.keys()]]);
    const rates = ["ratelimit", "ratelimit-policy"];
    expect(said).toEqual([
      ["session", claims.jti, rates],
      ["turnstile", undefined, rates],
      ["none", undefined, rates],
    ]);
  });

  it("a refusal says in how many seconds to come back, where that helps", async () => {
    const at = kit({}, { limits: { write: [{ name: "one", limit: 1, window: 60, by: "ip" }] } });
    const request = (): Request => new Request(ORIGIN, { method: "POST" });
    const options = { limits: ["write"], action: ACTION };
    const missing = await at.gate.protect(request(), options);
    expect(missing).toMatchObject({ ok: false, code: "SESSION_MISSING", retryAfter: undefined });
    const { token } = await at.session();
    const spend = (): ReturnType<typeof at.gate.protect> =>
      at.gate.protect(new Request(ORIGIN, { method: "POST", headers: bearer(token) }), options);
    expect((await spend()).ok).toBe(true);
    const full = await spend();
    if (full.ok) throw new Error("A second write was admitted");
    expect(full.retryAfter).toBeGreaterThan(59);
    // The header may say a little more, so that not all clients come back at once.
    expect(Number(full.response.headers.get("retry-after"))).toBeGreaterThanOrEqual(full.retryAfter ?? Number.NaN);
  });

  it("a quota of a feature's own is refused with its code; RATE_LIMITED is told as a limit", async () => {
    const at = kit();
    const quota = (key: string) => ({ key, limit: 1, window: 60 });
    at.admit = { open: true, quotas: [{ quota: quota("mine"), code: "RATE_LIMITED", reason: "full" }] };
    expect((await at.write()).status).toBe(201);
    expect(await codeOf(await at.write())).toEqual([429, "RATE_LIMITED"]);
    const limited = at.events.filter(({ type }) => type === "rate_limited");
    expect(limited).toEqual([expect.objectContaining({ outcome: "deny", code: "RATE_LIMITED", reason: "full" })]);
    at.admit = { open: true, quotas: [{ quota: quota("other"), code: "COMMITMENT_USED" }] };
    expect((await at.write()).status).toBe(201);
    expect((await codeOf(await at.write()))[1]).toBe("COMMITMENT_USED");
    expect(at.events.filter(({ type }) => type === "rate_limited")).toHaveLength(1);
  });

  it("limits that count failures stay on the exact store, beside a looser one: all, or those named", async () => {
    const loose = kit().counted;
    const limit = (name: string) => [{ name, limit: 9, window: 60, by: "ip" as const }];
    const at = kit({ rateStore: loose.store }, { limits: { write: limit("a"), other: limit("b") } });
    const onExact = async (failures: boolean | string[] | undefined): Promise<string[]> => {
      at.counted.spends.length = 0;
      at.admit = { open: true, limits: ["write", "other"], ...(failures !== undefined && { failures }) };
      expect((await at.write()).status).toBe(201);
      return [...new Set(at.counted.spends.flat().map(({ key }) => /\|rs([\w.]+):/.exec(key)?.[1] ?? key))].sort();
    };
    expect(await onExact(true)).toEqual(["other.b", "write.a"]);
    expect(await onExact(["other"])).toEqual(["other.b"]);
    expect(await onExact(false)).toEqual([]);
    expect(await onExact(undefined)).toEqual([]);
  });
});
