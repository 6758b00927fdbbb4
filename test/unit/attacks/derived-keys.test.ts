import { describe, expect, it } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { type TestGate, testGate } from "../../helpers/gate.ts";
import vectors from "../../vectors/derived-keys.json" with { type: "json" };
import { challengeOf } from "../clearance/tools.ts";

const { secret, challenge, device, cases } = vectors;

/** Two gates of one secret that ask one Turnstile, each with a store of its own. */
function siblings(one: Partial<GateOptions>, two: Partial<GateOptions>): [TestGate, TestGate] {
  const first = testGate({ ...one, store: memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) }) });
  const second = testGate({
    ...two,
    store: memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) }),
    fetch: (input, init) => first.emulator.fetch(new Request(input, init)),
  });
  return [first, second];
}

const exchange = ({ send }: TestGate, turnstileToken: string): Promise<Response> => send("POST", "/session", { turnstileToken });
const write = ({ send }: TestGate, token: string): Promise<Response> =>
  send("POST", "/scores", { score: 1 }, { "x-turnstile-token": token });

describe("one solve at two gates of one secret that count in separate stores is good at the first one alone", () => {
  it.each<[what: string, one: Partial<GateOptions>, two: Partial<GateOptions>]>([
    ["another audience", { audience: "game.example" }, { audience: "preview.example" }],
    ["another issuer", { issuer: "https://one.example" }, { issuer: "https://two.example" }],
    ["an issuer and none", {}, { issuer: "https://one.example" }],
    ["issuer and audience the other way round", { issuer: "a", audience: "b" }, { issuer: "b", audience: "a" }],
    ["the same letters divided otherwise", { issuer: "ab", audience: "c" }, { issuer: "a", audience: "bc" }],
    ["the issuer of one is all of the other", { issuer: "game.example" }, { audience: "game.examplegame.example" }],
  ])("%s", async (_, one, two) => {
    for (const [here, there] of [siblings(one, two), siblings(two, one)]) {
      const token = await here.mint();
      expect((await exchange(here, token)).status).toBe(200);
      expect((await exchange(there, token)).status).toBe(403);
      expect((await write(there, token)).status).toBe(403);
      // And a fresh token that was written with.
      const other = await here.mint();
      expect((await write(here, other)).status).toBe(201);
      expect((await exchange(there, other)).status).toBe(403);
      // The first one's own retry is still a retry.
      expect((await exchange(here, token)).status).toBe(200);
    }
  });

  it("of the same issuer and audience they are one gate: for them the store is what they must share", async () => {
    const [here, there] = siblings({ issuer: "https://one.example" }, { issuer: "https://one.example" });
    const token = await here.mint();
    expect([(await exchange(here, token)).status, (await exchange(there, token)).status]).toEqual([200, 200]);
  });

  it("sessions of one solve have another id at each, so that they could not be counted as one", async () => {
    const ids = [];
    for (const audience of ["game.example", "preview.example"]) {
      const at = testGate({ audience, fetch: async () => Response.json(answer("score_submit", "")) });
      const { sessionToken } = await (await exchange(at, "the-token")).json();
      ids.push((await at.gate.sessions.verify(sessionToken)).jti);
    }
    expect(new Set(ids).size).toBe(2);
  });
});

describe("vectors, made with node:crypto alone", () => {
  it.each(cases)("issuer $issuer, audience $audience", async ({ issuer, audience, token, jti, player, session, bound }) => {
    const given: Partial<GateOptions> = { secrets: secret, audience, ...(issuer !== null && { issuer }) };
    for (const [bind, key] of [
      ["none", session],
      ["device", bound],
    ] as const) {
      const asked: string[] = [];
      const at = testGate({
        ...given,
        session: { bind },
        fetch: async (_, init) => {
          asked.push(JSON.parse(String(init?.body)).idempotency_key);
          return Response.json(answer("score_submit", ""));
        },
      });
      const response = await at.send("POST", "/session", { turnstileToken: token }, { "x-device-id": device });
      const claims = await at.gate.sessions.verify((await response.json()).sessionToken);
      expect({ jti: claims.jti, sub: claims.sub, asked }).toEqual({ jti, sub: player, asked: [key] });
    }
  });

  it.each(cases)("a clearance: issuer $issuer, audience $audience", async ({ issuer, audience, token, clearance: key }) => {
    const asked: string[] = [];
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
    const at = testGate({
      secrets: secret,
      audience,
      ...(issuer !== null && { issuer }),
      // The challenge's id is random.
      random: (size) => bytes.slice(0, size),
      fetch: async (_, init) => {
        asked.push(JSON.parse(String(init?.body)).idempotency_key);
        return Response.json(answer("pay", challenge));
      },
      features: [clearance({ policy: { always_require_clearance: [{ path: "/pay" }] } })],
    });
    const request = new Request("https://game.example/pay", { method: "POST" });
    const { challenge_id, original_request_id, cdata } = await challengeOf(await at.gate.guard(() => new Response())(request));
    expect(cdata).toBe(challenge);
    const verified = await at.send("POST", "/security/turnstile/verify", { challenge_id, original_request_id, turnstile_token: token });
    expect([verified.status, asked]).toEqual([200, [key]]);
  });
});

function answer(action: string, cdata: string): Record<string, unknown> {
  const challenge_ts = new Date(Date.UTC(2026, 10, 20, 12)).toISOString();
  return { success: true, challenge_ts, hostname: "game.example", action, cdata };
}
