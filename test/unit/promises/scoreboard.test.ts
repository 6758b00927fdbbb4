import { describe, expect, it } from "vitest";
import { createGate } from "../../../src/gate/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import { bearer, codeOf, kit } from "../scores/kit.ts";

const boards = { main: {}, strict: { require: "commitment" } } as const;

describe("what a protected write costs, counted at the store and at the board", () => {
  it("a score, a commitment, a submission: one spend each, and one board write where a row is stored", async () => {
    const at = kit({ boards });
    const { token } = await at.player();
    const cost = async (work: () => Promise<Response>, status: number): Promise<number[]> => {
      const before = { spends: at.calls.spends.length, writes: at.calls.writes, reads: at.calls.reads };
      expect((await work()).status).toBe(status);
      return [at.calls.spends.length - before.spends, at.calls.writes - before.writes, at.calls.reads - before.reads];
    };
    expect(await cost(() => at.submit({ score: 7 }, token), 201)).toEqual([1, 1, 0]);
    expect(await cost(() => at.submit({ score: 6 }, token), 201)).toEqual([1, 1, 0]);
    expect(await cost(() => at.send("POST", "/commitments", { board: "strict", score: 9 }, bearer(token)), 200)).toEqual([1, 0, 0]);
    const commitment = await at.commit(9, token, "strict");
    expect(await cost(() => at.submit({ commitment }, token), 201)).toEqual([1, 1, 0]);
    // Refused by itself: nothing at all. Refused by the session: one spend, no write.
    expect(await cost(() => at.submit({ score: -1 }, token), 422)).toEqual([0, 0, 0]);
    await at.gate.sessions.revoke((await at.gate.sessions.verify(token)).jti);
    expect(await cost(() => at.submit({ score: 8 }, token), 401)).toEqual([1, 0, 0]);
    // With a fresh token two: the limits before Cloudflare is asked, the token's one use after.
    const fresh = { "x-turnstile-token": await at.mint() };
    expect(await cost(() => at.submit({ score: 10 }, undefined, fresh), 201)).toEqual([2, 1, 0]);
    // A public read spends its limit and writes nothing.
    expect(await cost(() => at.send("GET", "/scores"), 200)).toEqual([1, 0, 1]);
  });

  it("the one spend of a submission holds the session, both limits and the commitment", async () => {
    const at = kit({ boards }, { limits: {} });
    const { token, jti } = await at.player();
    const commitment = await at.commit(9, token, "strict");
    at.calls.spends.length = 0;
    expect((await at.submit({ commitment }, token)).status).toBe(201);
    const keys = at.calls.spends.flat().map(({ key }) => key);
    expect(keys).toHaveLength(4);
    expect(keys.filter((key) => key.includes(jti))).toHaveLength(1);
    expect(at.calls.spends.flat().map((quota) => ("window" in quota ? [quota.limit, quota.window] : quota.limit))).toEqual([
      20,
      1,
      [15, 60],
      [200, 86_400],
    ]);
  });
});

describe("the default limits, as the answers' headers name them", () => {
  it("30 exchanges, 120 reads, 15 writes and commitments a minute, 200 a day, by address", async () => {
    const at = kit({}, { limits: {} });
    const policy = (answer: Response): string | null => answer.headers.get("ratelimit-policy");
    expect(policy(await at.send("POST", "/session", { turnstileToken: await at.mint() }))).toBe('"session";q=30;w=60');
    expect(policy(await at.send("GET", "/scores"))).toBe('"scores.read";q=120;w=60');
    const { token } = await at.player();
    const perDay = /^"scores\.(write|commit)[\w.-]*";q=15;w=60, "scores\.\1[\w.-]*";q=200;w=86400$/;
    expect(policy(await at.submit({ score: 1 }, token))).toMatch(perDay);
    expect(policy(await at.send("POST", "/commitments", { score: 1 }, bearer(token)))).toMatch(perDay);
  });

  it("the 201st write of a day is refused until the day is over, although each minute had room", async () => {
    const at = kit({}, { limits: {}, session: { uses: 1000, ttl: 900 } });
    let written = 0;
    let refused: Response | undefined;
    for (let minute = 0; minute < 20 && !refused; minute++) {
      const { token } = await at.player();
      for (let i = 0; i < 15 && !refused; i++) {
        const answer = await at.submit({ score: written }, token);
        if (answer.status === 201) written += 1;
        else refused = answer;
      }
      at.advance(70_000);
    }
    expect([written, refused?.status]).toEqual([200, 429]);
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(20 * 3600);
    at.advance(86_400_000 * 1.1);
    const { token } = await at.player();
    expect((await at.submit({ score: 1 }, token)).status).toBe(201);
  });

  it("30 exchanges a minute, then 429 before Cloudflare is asked", async () => {
    const at = kit({}, { limits: {} });
    const answers = await Promise.all(
      Array.from({ length: 33 }, async () => at.send("POST", "/session", { turnstileToken: await at.mint() })),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(30);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(3);
    expect(at.emulator.control.counts().siteverify).toBe(30);
  });
});

describe("modes, through the routes of the board", () => {
  const modes = ["enforce", "monitor", "off"] as const;

  it.each(modes)("%s: without a credential", async (mode) => {
    const at = kit({ boards }, { mode });
    const exchange = await at.send("POST", "/session", { turnstileToken: "made-up-token-of-a-stranger" });
    const commitment = await at.send("POST", "/commitments", { score: 1 });
    const written = await at.submit({ score: 1 });
    if (mode === "enforce") {
      expect([exchange.status, commitment.status, written.status]).toEqual([403, 401, 401]);
    } else {
      expect([exchange.status, await exchange.json()]).toEqual([200, { dryRun: true }]);
      expect([commitment.status, await commitment.json()]).toEqual([200, { dryRun: true }]);
      expect([written.status, (await written.json()).rank]).toEqual([201, 1]);
    }
    // A board that asks for commitments asks for them in every mode.
    expect(await codeOf(await at.submit({ score: 1, board: "strict" }))).toEqual([422, "COMMITMENT_INVALID"]);
    expect(at.emulator.control.counts().siteverify).toBe(mode === "off" ? 0 : 1);
  });

  it.each(["monitor", "off"] as const)(
    "%s: a used up session, a used fresh token, a limit in the way: no signed token, level none",
    async (mode) => {
      const limits = Object.fromEntries(
        ["session", "scores.write", "scores.commit"].map((name) => [name, [{ name, limit: 1, window: 60, by: "ip" as const }]]),
      );
      const strict = kit({ boards }, { session: { uses: 1 } });
      const { token } = await strict.player();
      await strict.submit({ score: 1 }, token);
      const at = kit({ boards }, { mode, limits, session: { uses: 1 }, store: strict.store });
      const text: string[] = [];
      for (let i = 0; i < 3; i++) {
        for (const headers of [bearer(token), { "x-turnstile-token": "made-up-token-of-a-stranger" }, {}]) {
          const commitment = await at.send("POST", "/commitments", { score: 1 }, headers);
          expect([commitment.status, await commitment.json()]).toEqual([200, { dryRun: true }]);
          const written = await at.submit({ score: 1 }, undefined, headers);
          expect(written.status).toBe(201);
          text.push(await written.text());
        }
      }
      expect(text.join()).not.toMatch(/eyJ/);
      expect(at.events.some(({ type, dry_run }) => type === "rate_limited" && dry_run)).toBe(true);
    },
  );
});

describe("sessions, as the games of today have them", () => {
  const base: GateOptions = {
    secrets: "a signing secret of at least 32 bytes",
    turnstile: { secret: "0x4AAAAAAA-a-real-secret", allowedHostnames: ["game.example"] },
  };

  it.each([119, 901, 299.5, Number.NaN, "300"])("a ttl of %s is an error at creation, never clamped", (ttl) => {
    const wrong = { ...base, session: { ttl } };
    expect(() => createGate(wrong as GateOptions)).toThrow(typeof ttl === "string" ? TypeError : RangeError);
  });

  it.each([120, 300, 900])("a ttl of %i is what a session lives", async (ttl) => {
    const at = kit({}, { session: { ttl } });
    const { token } = await at.player();
    const { iat, exp } = await at.gate.sessions.verify(token);
    expect(exp - iat).toBe(ttl);
    at.advance((ttl - 1) * 1000);
    expect((await at.submit({ score: 1 }, token)).status).toBe(201);
    at.advance(7000);
    expect(await codeOf(await at.submit({ score: 1 }, token))).toEqual([401, "SESSION_EXPIRED"]);
  });

  it("HS256 with v, jti, iat, exp, a typ in the header, and nothing of it is stored by the exchange but a rate", async () => {
    const at = kit();
    at.calls.spends.length = 0;
    const { token, jti } = await at.player();
    const [header, payload] = token
      .split(".")
      .slice(0, 2)
      .map((part) => JSON.parse(Buffer.from(part, "base64url").toString()));
    expect(header).toEqual({ alg: "HS256", typ: "gp-session+jwt" });
    expect(payload).toMatchObject({
      v: 1,
      jti,
      iat: expect.any(Number),
      exp: payload.iat + 300,
      aud: "game.example",
      scope: ["score_submit"],
    });
    expect(at.calls.spends.flat().every((quota) => "window" in quota)).toBe(true);
  });

  it("the challenge's action and hostname are asserted: neither another action nor another site's solve is a session", async () => {
    const at = kit();
    for (const [action, hostname] of [
      ["login", "game.example"],
      [undefined, "game.example"],
      ["score_submit", "evil.example"],
      ["score_submit", "game.example.evil.example"],
    ] as const) {
      const turnstileToken = at.emulator.control.mint({ ...(action && { action }), hostname });
      expect(await codeOf(await at.send("POST", "/session", { turnstileToken }))).toEqual([403, "VERIFICATION_FAILED"]);
    }
    const reasons = at.events.filter(({ type }) => type === "turnstile_siteverify_failed").map(({ reason }) => reason);
    expect(reasons).toEqual(["action_mismatch", "action_mismatch", "hostname_mismatch", "hostname_mismatch"]);
  });

  it("without a signing secret the exchange is 404, and a fresh token is one write", async () => {
    const { secrets: _none, ...unsigned } = base;
    const gate = createGate({ ...unsigned, features: [scores({ board: memoryBoard() })] });
    for (const path of ["/session", "/commitments"]) {
      const answer = await gate.fetch(
        new Request(`https://game.example/api${path}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: path === "/session" ? '{"turnstileToken":"token"}' : '{"score":1}',
        }),
      );
      expect(await codeOf(answer)).toEqual([404, "NOT_FOUND"]);
    }
  });
});

describe("a commitment", () => {
  it.each([0, 300, 600, 899, 904])("submitted first after %i s is stored, and once in all its life", async (age) => {
    const at = kit({ boards: { main: { operator: "sum" } } });
    const { token, playerToken } = await at.player();
    const commitment = await at.commit(42, token);
    at.advance(age * 1000);
    const renewed = await at.player(playerToken);
    expect((await at.submit({ commitment }, renewed.token)).status).toBe(201);
    for (const later of [0, 250, 350, 290, 14]) {
      at.advance(later * 1000);
      const again = await at.player(playerToken);
      expect([200, 410]).toContain((await at.submit({ commitment }, again.token)).status);
    }
    expect((await at.list()).scores.map(({ score }) => score)).toEqual([42]);
  });

  it("is over after 15 minutes and the tolerance of clocks", async () => {
    const at = kit();
    const { token, playerToken } = await at.player();
    const commitment = await at.commit(42, token);
    at.advance(905_000);
    const renewed = await at.player(playerToken);
    expect(await codeOf(await at.submit({ commitment }, renewed.token))).toEqual([410, "COMMITMENT_EXPIRED"]);
  });
});

describe("reads of the board", () => {
  it("me and around=me only for who brings a session, and then no cache keeps it", async () => {
    const at = kit({ cache: true });
    const { token } = await at.player();
    await at.submit({ score: 5 }, token);
    const open = await at.send("GET", "/scores?around=me");
    expect([open.headers.get("cache-control"), await open.json()]).toEqual(["public, max-age=5", { scores: [] }]);
    const mine = await at.send("GET", "/scores?around=me", undefined, bearer(token));
    expect(mine.headers.get("cache-control")).toBe("no-store");
    expect(mine.headers.get("cdn-cache-control")).toBe("no-store");
    expect(await mine.json()).toMatchObject({ scores: [{ rank: 1, score: 5 }], me: { rank: 1, score: 5 } });
    const refused = await at.send("GET", "/scores?limit=0");
    expect(refused.headers.get("cache-control")).toBe("no-store");
  });

  it("an expired session reads as anybody does, uncached", async () => {
    const at = kit({ cache: true });
    const { token } = await at.player();
    at.advance(400_000);
    const answer = await at.send("GET", "/scores", undefined, bearer(token));
    expect([answer.status, answer.headers.get("cache-control"), await answer.json()]).toEqual([200, "no-store", { scores: [] }]);
  });

  it("periods turn at midnight and on Monday, UTC", async () => {
    const at = kit();
    at.advance(11.9 * 3_600_000);
    const { token } = await at.player();
    await at.submit({ score: 5 }, token);
    const shown = async (): Promise<number[]> =>
      Promise.all(["day", "week", "all"].map(async (period) => (await at.list(`?period=${period}`)).scores.length));
    expect(await shown()).toEqual([1, 1, 1]);
    at.advance(0.2 * 3_600_000);
    expect(await shown()).toEqual([0, 1, 1]);
    at.advance(2 * 86_400_000);
    expect(await shown()).toEqual([0, 0, 1]);
  });
});
