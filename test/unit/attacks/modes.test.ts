import { describe, expect, it } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { GatepassError } from "../../../src/errors.ts";
import type { FeatureFactory, GateOptions, Mode } from "../../../src/gate/types.ts";
import type { ChallengeAnswer } from "../../../src/protocol.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, forged, MODERATOR, ORIGIN, type TestGate, testGate } from "../../helpers/gate.ts";
import { codeOf } from "../scores/kit.ts";

/** Two gates on one store, one board and one clock. The first enforces and gives credentials; the second runs under the mode that is attacked. */
interface Pair {
  giver: TestGate;
  gate: TestGate;
  /** `METHOD /path` of every route of a feature, and `guard NAME` of every guard. */
  parts: Set<string>;
  guess(bearer: string, path?: string, method?: string): Promise<Response>;
  /** A challenge of an entry that the policy enforces. */
  challenge(): Promise<ChallengeAnswer>;
  verify(challenge: ChallengeAnswer, more?: { device_id?: string; challenge_id?: string }, at?: TestGate): Promise<Response>;
  pay(path: string, headers: Record<string, string>): Promise<[boolean, string | undefined]>;
}

const JUNK = "a guess that is long enough to be a moderation token";
const FOREIGN = { origin: "https://evil.example" };
const DEVICE = { "x-device-id": "phone-1" };

function pair(mode: Mode, more: Partial<GateOptions> = {}): Pair {
  const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
  const board = memoryBoard();
  const parts = new Set<string>();
  const listed =
    (factory: FeatureFactory): FeatureFactory =>
    (kernel) => {
      const feature = factory(kernel);
      for (const { method, path } of feature.routes ?? []) for (const one of [method].flat()) parts.add(`${one} ${path}`);
      if (feature.guard) parts.add(`guard ${feature.name}`);
      return feature;
    };
  const entries = [
    { path: "/pay", mode: "enforce" as const, scope: "/money", max_uses: 9 },
    { path: "/watched", scope: "/money", max_uses: 9 },
  ];
  const features = [
    listed(scores({ board, boards: { main: {}, strict: { require: "commitment" } }, moderation: { tokens: [MODERATOR] } })),
    listed(clearance({ policy: { always_require_clearance: entries } })),
  ];
  const turnstile = {
    secret: EMULATOR_SECRET,
    sitekey: EMULATOR_SITEKEY,
    allowedHostnames: ["game.example"],
    allowTestKeys: true,
    siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
  };
  const giver = testGate({ store, turnstile, features });
  const gate = testGate({ store, turnstile, mode, features, ...more });
  return {
    giver,
    gate,
    parts,
    guess: (token, path = "/scores/unknown/hide", method = "POST") => gate.send(method, path, undefined, bearer(token)),
    async challenge() {
      const asked = await giver.gate.protect(new Request(`${ORIGIN}/pay`, { method: "POST", headers: DEVICE }));
      if (asked.ok) throw new Error("Nothing was asked for");
      return asked.response.json();
    },
    verify({ action, cdata, ...asked }, changed = {}, at = gate) {
      const { challenge_id, original_request_id } = { ...asked, ...changed };
      const turnstile_token = at.emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, cdata });
      return at.send("POST", "/security/turnstile/verify", {
        challenge_id,
        original_request_id,
        turnstile_token,
        device_id: changed.device_id ?? "phone-1",
      });
    },
    async pay(path, headers) {
      const admission = await gate.gate.protect(new Request(`${ORIGIN}${path}`, { method: "POST", headers: { ...DEVICE, ...headers } }));
      return [admission.ok, admission.ok ? admission.level : admission.code];
    },
  };
}

const down = (): Promise<never> => Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Cannot reach the store"));
const broken = { ...memoryStore(), spend: down };

/** What no request may get under this mode. */
async function text(answers: readonly Response[]): Promise<string> {
  return (await Promise.all(answers.map((answer) => answer.clone().text()))).join();
}

async function guesses(mode: Mode, path: string, method = "POST"): Promise<void> {
  const { gate, guess, giver } = pair(mode);
  const { id } = await (await giver.send("POST", "/scores", { score: 1 }, bearer(await giver.session()))).json();
  const target = path.replace(":id", id);
  const tried = await Promise.all(Array.from({ length: 60 }, (_, i) => guess(`${JUNK} ${i}`, target, method)));
  expect(tried.filter(({ status }) => status === 401)).toHaveLength(5);
  expect(tried.filter(({ status }) => status === 429)).toHaveLength(55);
  // Even the right one, so that a guess that would have been right is not told.
  expect((await guess(MODERATOR, target, method)).status).toBe(429);
  expect(gate.events.find(({ type }) => type === "rate_limited")).toMatchObject({ outcome: "deny", code: "RATE_LIMITED" });
  expect(gate.events.some(({ type, dry_run }) => type === "rate_limited" && dry_run)).toBe(false);
  for (const more of [{}, { onStoreError: "allow" as const }]) {
    const blind = pair(mode, { ...more, store: broken });
    expect((await blind.guess(JUNK, target, method)).status).toBe(503);
    expect((await blind.guess(MODERATOR, target, method)).status).toBe(503);
  }
}

/** By route and guard: what holds there under every mode. */
const HOLDS: Record<string, (mode: Mode) => Promise<void>> = {
  async "POST /session"(mode) {
    const { gate } = pair(mode, { limits: { session: [{ name: "session", limit: 2, window: 60, by: "ip" }] } });
    expect(await codeOf(await gate.send("POST", "/session", { turnstileToken: "x", admin: true }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await gate.send("POST", "/session", { turnstileToken: "x" }, FOREIGN))).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    const made = await Promise.all(["made-up", "made-up"].map((turnstileToken) => gate.send("POST", "/session", { turnstileToken })));
    const over = await Promise.all(
      Array.from({ length: 20 }, async () => gate.send("POST", "/session", { turnstileToken: await gate.mint() })),
    );
    expect(await text([...made, ...over])).not.toContain("eyJ");
    expect(gate.emulator.control.counts().siteverify).toBeLessThanOrEqual(2);
  },
  async "GET /scores"(mode) {
    const { gate } = pair(mode);
    expect((await gate.send("GET", "/scores?limit=101")).status).toBe(400);
    expect((await gate.send("GET", "/scores?board=gone")).status).toBe(404);
  },
  async "POST /scores"(mode) {
    const { gate, giver } = pair(mode);
    const session = await giver.session();
    const headers = bearer(session);
    expect(await codeOf(await gate.send("POST", "/scores", { score: 1 }, FOREIGN))).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    expect(await codeOf(await gate.send("POST", "/scores", { score: 1.5 }))).toEqual([400, "BODY_INVALID"]);
    expect(await codeOf(await gate.send("POST", "/scores", { score: -1 }))).toEqual([422, "SCORE_INVALID"]);
    expect(await codeOf(await gate.send("POST", "/scores", { score: 1, board: "strict" }))).toEqual([422, "COMMITMENT_INVALID"]);
    const { commitment } = await (await giver.send("POST", "/commitments", { score: 7, board: "strict" }, headers)).json();
    expect(await codeOf(await gate.send("POST", "/scores", { commitment: forged(commitment) }))).toEqual([422, "COMMITMENT_INVALID"]);
    const thief = bearer(await giver.session());
    expect(await codeOf(await gate.send("POST", "/scores", { commitment }, thief))).toEqual([403, "WRONG_PLAYER"]);
    const all = await Promise.all(Array.from({ length: 10 }, () => gate.send("POST", "/scores", { commitment }, headers)));
    expect(all.map(({ status }) => status).sort()).toEqual([...Array(9).fill(200), 201]);
    const [{ id }] = await Promise.all(all.map((answer) => answer.json()));
    expect((await gate.send("POST", `/scores/${id}/ban`, undefined, bearer(MODERATOR))).status).toBe(204);
    expect(await codeOf(await gate.send("POST", "/scores", { score: 9 }, headers))).toEqual([403, "PLAYER_BANNED"]);
  },
  async "POST /commitments"(mode) {
    const { gate } = pair(mode);
    expect(await codeOf(await gate.send("POST", "/commitments", { score: 1 }, FOREIGN))).toEqual([403, "ORIGIN_NOT_ALLOWED"]);
    expect(await codeOf(await gate.send("POST", "/commitments", { score: -1 }))).toEqual([422, "SCORE_INVALID"]);
    const bare = await gate.send("POST", "/commitments", { score: 1 });
    const junk = await gate.send("POST", "/commitments", { score: 1 }, bearer(`${await gate.session()}x`));
    expect(await text([bare, junk])).not.toContain("eyJ");
  },
  "DELETE /scores/:id": (mode) => guesses(mode, "/scores/:id", "DELETE"),
  "POST /scores/:id/hide": (mode) => guesses(mode, "/scores/:id/hide"),
  "POST /scores/:id/ban": (mode) => guesses(mode, "/scores/:id/ban"),
  "POST /scores/:id/purge": (mode) => guesses(mode, "/scores/:id/purge"),
  "POST /moderation/ban": (mode) => guesses(mode, "/moderation/ban"),
  "POST /moderation/purge": (mode) => guesses(mode, "/moderation/purge"),
  "POST /moderation/rename": (mode) => guesses(mode, "/moderation/rename"),
  "GET /moderation/hidden": (mode) => guesses(mode, "/moderation/hidden", "GET"),
  "GET /moderation/banned": (mode) => guesses(mode, "/moderation/banned", "GET"),
  async "POST /security/turnstile/verify"(mode) {
    const few = [{ name: "few", limit: 3, window: 60, by: "ip" as const }];
    const { gate, challenge, verify } = pair(mode, { limits: { "clearance.attempts": few } });
    const another = { challenge_id: forged((await challenge()).challenge_id) };
    expect(await codeOf(await verify(await challenge(), another))).toEqual([403, "SECURITY_VERIFICATION_FAILED"]);
    expect(await codeOf(await verify(await challenge(), { device_id: "phone-2" }))).toEqual([403, "SECURITY_VERIFICATION_FAILED"]);
    const answers: Response[] = [];
    for (let i = 0; i < 14; i++) answers.push(await verify(await challenge()));
    const given = answers.filter(({ status }) => status === 200);
    if (mode === "off") expect(await Promise.all(given.map((one) => one.json()))).toEqual(Array(14).fill({ dryRun: true }));
    else expect([given.length, answers.filter(({ status }) => status === 429).length]).toEqual([3, 11]);
    expect(gate.emulator.control.counts().siteverify).toBe(mode === "off" ? 0 : 3);
    const blind = pair(mode, { store: broken });
    const [blinded] = [await blind.verify(await blind.challenge())];
    expect(await text([blinded])).not.toContain("eyJ");
  },
  async "GET /mobile-turnstile"(mode) {
    const { gate, challenge } = pair(mode);
    const show = (id: string): Promise<Response> => gate.gate.fetch(new Request(`${ORIGIN}/mobile-turnstile?challenge_id=${id}`));
    const { challenge_id: id } = await challenge();
    expect((await show(id)).status).toBe(200);
    expect((await show(forged(id))).status).toBe(403);
  },
  async "guard clearance"(mode) {
    const { challenge, verify, pay, giver } = pair(mode);
    const { app_clearance_token } = await (await verify(await challenge(), {}, giver)).json();
    const headers = { "x-app-clearance": app_clearance_token, "x-request-id": "one-request" };
    expect(await pay("/pay", FOREIGN)).toEqual([false, "ORIGIN_NOT_ALLOWED"]);
    if (mode === "off") return;
    expect(await pay("/pay", {})).toEqual([false, "TURNSTILE_REQUIRED"]);
    expect(await pay("/pay", { "x-app-clearance": `${app_clearance_token}x` })).toEqual([false, "TURNSTILE_REQUIRED"]);
    const all = await Promise.all(Array.from({ length: 10 }, () => pay("/watched", headers)));
    expect(all.filter(([ok]) => ok)).toEqual([[true, "clearance"]]);
    expect(all.filter(([, code]) => code === "REQUEST_REPLAYED")).toHaveLength(9);
  },
};

describe.each(["enforce", "monitor", "off"] as const)("mode %s relaxes nothing but what the list of modes names", (mode) => {
  it.each(Object.entries(HOLDS))("%s", (_, holds) => holds(mode));

  it("requests that bypass Cloudflare are refused at every route", async () => {
    const { gate, parts } = pair(mode, { origin: () => false });
    for (const part of ["POST /session", ...parts]) {
      const [method = "", path = ""] = part.split(" ");
      if (method === "guard") continue;
      const url = `${ORIGIN}${path.startsWith("/mobile") ? "" : "/api"}${path.replace(":id", "x")}`;
      expect([part, ...(await codeOf(await gate.gate.fetch(new Request(url, { method }))))]).toEqual([part, 403, "REQUEST_DENIED"]);
    }
    expect(await gate.gate.protect(new Request(`${ORIGIN}/free`))).toMatchObject({ ok: false, code: "REQUEST_DENIED" });
  });

  it("a fresh token over a limit is not sent to Cloudflare: 60 made-up tokens, 3 questions", async () => {
    const { gate } = pair(mode, { limits: { "scores.write": [{ name: "few", limit: 3, window: 60, by: "ip" }] } });
    await Promise.all(
      Array.from({ length: 60 }, (_, i) => gate.send("POST", "/scores", { score: 1 }, { "x-turnstile-token": `made-up-${i}` })),
    );
    expect(gate.emulator.control.counts().siteverify).toBeLessThanOrEqual(3);
  });
});

it("every route and every guard of the features is walked", () => {
  expect(new Set(Object.keys(HOLDS))).toEqual(new Set(["POST /session", ...pair("enforce").parts]));
});

describe("moderation whose limit was given rules that count no stranger", () => {
  it.each([
    ["none", []],
    ["by session", [{ name: "m", limit: 5, window: 900, by: "session" }]],
    ["by player", [{ name: "m", limit: 5, window: 900, by: "player" }]],
    ["by session and address", [{ name: "m", limit: 5, window: 900, by: ["session", "ip"] }]],
  ] as const)("%s: guesses count as exchanges do", async (_name, moderation) => {
    const { guess } = pair("enforce", { limits: { moderation } });
    const tried = await Promise.all(Array.from({ length: 100 }, (_, i) => guess(`${JUNK} ${i}`)));
    expect(tried.filter(({ status }) => status === 401)).toHaveLength(30);
    expect(tried.filter(({ status }) => status === 429)).toHaveLength(70);
  });

  it("what a moderator does is given back, as under the default", async () => {
    const { guess } = pair("enforce", { limits: { moderation: [] } });
    for (let i = 0; i < 40; i++) expect((await guess(MODERATOR)).status).toBe(404);
  });
});
