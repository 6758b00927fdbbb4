// The protected write, in process: the gate with its memory store against the same work glued from Hono, hono/jwt and
// rate-limiter-flexible. Same checks (MAC, kind, times, audience, scope), same limits (uses, burst, daily), body cap, CORS, same board.
import { createGate, memoryStore } from "gatepass";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "gatepass/emulator";
import { memoryBoard, scores } from "gatepass/scores";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { cors } from "hono/cors";
import { sign, verify } from "hono/jwt";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { ratios } from "./ratios.mjs";

const secret = "a secret of the benchmark, at least 32 bytes long";
const origin = "https://game.example";
const IN_FLIGHT = 64;
const WRITES = 4096; // a round
const USES = 20; // of a session: the default
const limits = [
  { name: "burst", limit: 1_000_000, window: 60, by: "ip" },
  { name: "daily", limit: 10_000_000, window: 86400, by: "ip" },
];

const request = (token, score) =>
  new Request(`${origin}/api/scores`, {
    method: "POST",
    headers: { "content-type": "application/json", origin, authorization: `Bearer ${token}` },
    body: `{"score":${score}}`,
  });

async function load(handle, tokens) {
  let next = 0;
  const caller = async () => {
    while (next < WRITES) {
      const i = next++;
      const response = await handle(request(tokens[i % tokens.length], i));
      if (response.status !== 201) throw new Error(`A write ended with ${response.status}: ${await response.text()}`);
      await response.text();
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
}

const emulator = createTurnstileEmulator();
const gate = createGate({
  secrets: secret,
  turnstile: {
    secret: EMULATOR_SECRET,
    allowedHostnames: ["game.example"],
    allowTestKeys: true,
    siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
  },
  fetch: (input, init) => emulator.fetch(new Request(input, init)),
  store: memoryStore(),
  session: { uses: 1000 },
  clientIp: () => "203.0.113.7",
  allowedOrigins: [origin],
  limits: { "scores.write": limits, session: [{ name: "session", limit: 1_000_000, window: 60, by: "ip" }] },
  features: [scores({ board: memoryBoard() })],
});

async function session() {
  const turnstileToken = await emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" });
  const response = await gate.fetch(
    new Request(`${origin}/api/session`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ turnstileToken }),
    }),
  );
  return (await response.json()).sessionToken;
}

function glue() {
  const board = memoryBoard();
  const app = new Hono();
  const burst = new RateLimiterMemory({ points: limits[0].limit, duration: 60, keyPrefix: "burst" });
  const daily = new RateLimiterMemory({ points: limits[1].limit, duration: 86400, keyPrefix: "daily" });
  const uses = new RateLimiterMemory({ points: 1000, duration: 900, keyPrefix: "jti" });
  app.use(
    "/api/*",
    cors({ origin: [origin], allowHeaders: ["authorization", "content-type"], exposeHeaders: ["ratelimit", "ratelimit-policy"] }),
  );
  app.post("/api/scores", bodyLimit({ maxSize: 8192 }), async (c) => {
    const token = c.req.header("authorization")?.slice(7) ?? "";
    let claims;
    try {
      claims = await verify(token, secret, "HS256");
    } catch {
      return c.json({ error: "SESSION_INVALID" }, 401);
    }
    if (claims.typ !== "session" || claims.aud !== "game.example" || !claims.scope.includes("score_submit")) {
      return c.json({ error: "SCOPE_DENIED" }, 403);
    }
    const body = await c.req.json();
    if (!Number.isSafeInteger(body.score) || body.score < 0 || Object.keys(body).length !== 1)
      return c.json({ error: "BODY_INVALID" }, 400);
    let state;
    try {
      await uses.consume(claims.jti);
      state = await burst.consume("203.0.113.7");
      await daily.consume("203.0.113.7");
    } catch {
      return c.json({ error: "RATE_LIMITED" }, 429);
    }
    const at = Date.now();
    const day = new Date(at).toISOString().slice(0, 10);
    const row = await board.submit(
      {
        board: "main",
        player: claims.sub,
        score: body.score,
        at,
        submission: crypto.randomUUID(),
        level: "claimed",
        flags: [],
        name: "Quiet Otter",
      },
      { periods: ["all", `${day.slice(0, 4)}-W01`, day], order: "desc", operator: "best" },
    );
    c.header("ratelimit", `"burst";r=${state.remainingPoints};t=${Math.ceil(state.msBeforeNext / 1000)}`);
    c.header("cache-control", "no-store");
    return c.json({ id: row.id, rank: row.rank, best: row.best }, 201);
  });
  return app;
}

const now = Math.floor(Date.now() / 1000);
const glued = () =>
  sign(
    {
      typ: "session",
      v: 1,
      jti: crypto.randomUUID(),
      sub: crypto.randomUUID(),
      aud: "game.example",
      scope: ["score_submit"],
      iat: now,
      exp: now + 900,
    },
    secret,
    "HS256",
  );
const app = glue();
const fresh = (make, uses) => Promise.all(Array.from({ length: Math.ceil(WRITES / uses) }, make));

for (const [title, uses] of [
  ["protected write, 64 in flight, 20 a session", USES],
  ["protected write, 64 in flight, the first of its session", 1],
]) {
  const makers = {
    gatepass: async () => {
      const tokens = await fresh(session, uses);
      return () => load((r) => gate.fetch(r), tokens);
    },
    "hono + hono/jwt + rate-limiter-flexible": async () => {
      const tokens = await fresh(glued, uses);
      return () => load((r) => app.fetch(r), tokens);
    },
  };
  await ratios(title, makers, [["gatepass", "hono + hono/jwt + rate-limiter-flexible", 1.3]]);
}
