import { createGate, type Gate, memoryStore } from "gatepass";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "gatepass/emulator";
import { cleanName, foldName, memoryBoard, scores } from "gatepass/scores";
import { type Case, equal, truthy } from "./harness.ts";

const origin = "https://game.example";
const secrets = "an example secret for the runtime matrix, 48 bytes";

interface Setup {
  gate: Gate;
  mint(): Promise<string>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
  session(): Promise<string>;
  advance(ms: number): void;
}

/** Fails where a text holds what it must not: a secret, a Turnstile token, a full address; in an event any signed token besides. */
function searched(text: string, forbidden: readonly string[], isEvent = false): void {
  for (const leak of ["203.0.113.7", secrets, EMULATOR_SECRET, ...forbidden]) truthy(!text.includes(leak), `no leak in ${text}`);
  truthy(!isEvent || !/[\w-]{8,}\.[\w-]{8,}\.[\w-]{40,}/.test(text), `no token in the event ${text}`);
}

function setup(uses = 20): Setup {
  const minted: string[] = [];
  const events: string[] = [];
  let time = Date.now();
  const clock = (): number => time;
  const emulator = createTurnstileEmulator({ clock });
  const gate = createGate({
    secrets,
    clock,
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: {
      secret: EMULATOR_SECRET,
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
    },
    clientIp: () => "203.0.113.7",
    store: memoryStore({ clock }),
    session: { uses },
    features: [scores({ board: memoryBoard() })],
    onEvent: (event) => events.push(JSON.stringify(event)),
    onError: (error) => {
      throw error;
    },
  });
  const mint = async (): Promise<string> => {
    const token = emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" });
    minted.push(token);
    return token;
  };
  const post: Setup["post"] = async (path, body, headers = {}) => {
    const answer = await gate.fetch(
      new Request(`${origin}/api${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", origin, ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    );
    searched(`${JSON.stringify([...answer.headers])} ${await answer.clone().text()}`, minted);
    for (const event of events.splice(0)) searched(event, minted, true);
    return answer;
  };
  const session = async (): Promise<string> => {
    const answer = await post("/session", { turnstileToken: await mint() });
    equal(answer.status, 200, "the exchange's status");
    return (await answer.json()).sessionToken;
  };
  return { gate, mint, post, session, advance: (ms) => (time += ms) };
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

async function refused(answer: Response, status: number, code: string): Promise<void> {
  equal([answer.status, (await answer.json()).error], [status, code], "the refusal");
  equal(answer.headers.get("cache-control"), "no-store");
}

/** The server's part: sessions, spending, commitments, the rules of HTTP. */
export const gateCases: Case[] = [
  {
    name: "a solved challenge becomes a session, and one solve stays one session",
    async run() {
      const { mint, post, gate } = setup();
      const turnstileToken = await mint();
      const answers = await Promise.all(Array.from({ length: 10 }, () => post("/session", { turnstileToken })));
      const bodies = await Promise.all(answers.map((answer) => answer.json()));
      const claims = await Promise.all(bodies.map((body) => gate.sessions.verify(body.sessionToken)));
      equal(new Set(claims.map(({ jti }) => jti)).size, 1, "the number of sessions");
      equal(claims[0]?.scope, ["score_submit"]);
      await refused(await post("/session", { turnstileToken: "made-up" }), 403, "VERIFICATION_FAILED");
    },
  },
  {
    name: "a session's uses are spent exactly, by concurrent writes too",
    async run() {
      const { post, session } = setup(5);
      const token = await session();
      const answers = await Promise.all(Array.from({ length: 12 }, (_, i) => post("/scores", { score: i }, bearer(token))));
      equal(answers.filter(({ status }) => status === 201).length, 5, "the number of accepted writes");
      for (const answer of answers) if (answer.status !== 201) await refused(answer, 401, "SESSION_EXHAUSTED");
    },
  },
  {
    name: "a revoked and an expired session are refused",
    async run() {
      const { post, session, gate, advance } = setup();
      const token = await session();
      await gate.sessions.revoke((await gate.sessions.verify(token)).jti);
      await refused(await post("/scores", { score: 1 }, bearer(token)), 401, "SESSION_REVOKED");
      const other = await session();
      advance(400_000);
      await refused(await post("/scores", { score: 1 }, bearer(other)), 401, "SESSION_EXPIRED");
      await refused(await post("/scores", { score: 1 }), 401, "SESSION_MISSING");
    },
  },
  {
    name: "a commitment becomes a row, once",
    async run() {
      const { post, session, gate } = setup();
      const token = await session();
      const committed = await post("/commitments", { board: "main", score: 1234 }, bearer(token));
      equal(committed.status, 200, "the commitment's status");
      const { commitment } = await committed.json();
      const first = await post("/scores", { commitment }, bearer(token));
      equal(first.status, 201, "the submission's status");
      const { id } = await first.json();
      const second = await post("/scores", { commitment }, bearer(token));
      equal([second.status, (await second.json()).id], [200, id], "the repetition");
      const board = await (await gate.fetch(new Request(`${origin}/api/scores`))).json();
      equal(
        board.scores.map(({ score, rank }: { score: number; rank: number }) => [rank, score]),
        [[1, 1234]],
      );
    },
  },
  {
    name: "a call that arrives ten times counts once, and names are folded alike",
    async run() {
      const { post, session, gate } = setup();
      const headers = { ...bearer(await session()), "idempotency-key": '"kQ3vY8bN0aZt5cRw7eXuLg"' };
      const answers = await Promise.all(Array.from({ length: 10 }, () => post("/scores", { score: 10 }, headers)));
      equal(answers.map(({ status }) => status).sort(), [...Array(9).fill(200), 201]);
      const board = await (await gate.fetch(new Request(`${origin}/api/scores`))).json();
      equal(
        board.scores.map(({ score }: { score: number }) => score),
        [10],
      );
      // By each runtime's own data of Unicode: Cyrillic, Cherokee, Lisu, Greek, full width, mathematical letters.
      for (const name of ["Аdm1n", "ꭺdmin", "ꓮDMIN", "αdmιn", "ＡＤＭＩＮ", "𝕒𝕕𝕞𝕚𝕟", "adrnin"]) equal(foldName(name), "admin");
      equal(cleanName("\u{1F3F4}\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}") === null, false);
    },
  },
  {
    name: "a fresh Turnstile token is one write",
    async run() {
      const { post, mint } = setup();
      const fresh = { "x-turnstile-token": await mint() };
      equal((await post("/scores", { score: 3 }, fresh)).status, 201);
      const again = await post("/scores", { score: 4 }, fresh);
      truthy(again.status === 401 || again.status === 403, `a second write with it to be refused, not ${again.status}`);
    },
  },
  {
    name: "HTTP: body cap, media type, method, origin, preflight, foreign paths",
    async run() {
      const { gate, post, session } = setup();
      const token = await session();
      await refused(await post("/scores", JSON.stringify({ score: 1, x: "x".repeat(9_000) }), bearer(token)), 413, "BODY_TOO_LARGE");
      await refused(await post("/scores", "score=1", { ...bearer(token), "content-type": "text/plain" }), 415, "UNSUPPORTED_MEDIA_TYPE");
      await refused(await post("/scores", "{", bearer(token)), 400, "BODY_INVALID");
      await refused(await post("/scores", { score: 1.5 }, bearer(token)), 400, "BODY_INVALID");
      await refused(await post("/scores", { score: 1 }, { ...bearer(token), origin: "https://evil.example" }), 403, "ORIGIN_NOT_ALLOWED");
      const put = await gate.fetch(new Request(`${origin}/api/scores`, { method: "PUT" }));
      truthy(put.headers.get("allow")?.includes("POST"), "an Allow header");
      await refused(put, 405, "METHOD_NOT_ALLOWED");
      const preflight = await gate.fetch(
        new Request(`${origin}/api/scores`, { method: "OPTIONS", headers: { origin, "access-control-request-method": "POST" } }),
      );
      equal([preflight.status, preflight.headers.get("access-control-allow-origin")], [204, origin], "the preflight");
      equal(await gate.handle(new Request(`${origin}/elsewhere`)), null);
      equal((await gate.fetch(new Request(`${origin}/elsewhere`))).status, 404);
    },
  },
];
