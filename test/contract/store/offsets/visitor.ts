// A visitor of two processes whose clocks are wrong, each in its own way, and who tries to get more out of one solve than it has. Knows no runtime.
import fc from "fast-check";
import { clearance } from "../../../../src/clearance/index.ts";
import { createGate } from "../../../../src/gate/index.ts";
import type { Gate, GateOptions } from "../../../../src/gate/types.ts";
import type { ScoreBoard } from "../../../../src/scores/board.ts";
import { memoryBoard, scores } from "../../../../src/scores/index.ts";
import type { Store } from "../../../../src/store/contract.ts";

/** Uses of a session, and of a clearance. */
export const USES = 3;
/** Seconds by which a process may be behind the provider and still take its solves. */
export const TOLERANCE = 5;
/** Seconds that a clock is wrong at most, either way. */
export const MOST = 7200;

const ORIGIN = "https://game.example";
const DEVICE = { "x-device-id": "phone" };
const START = Date.UTC(2026, 10, 20, 12);

/** What one solve of each kind came to. */
export interface Tally {
  /** Writes that were accepted: by sessions of every exchange, and by the token itself. */
  writes: number;
  /** Protected requests that were let through by a clearance of the one challenge. */
  cleared: number;
  /** Rows that the one commitment was accepted for. */
  rows: number;
}

/** One thing that the visitor does, at the first process or the second one. */
interface Step {
  at: 0 | 1;
  does: "write" | "fresh" | "commit" | "submit" | "protect" | "sweep";
  /** Seconds that pass before. */
  wait: number;
}

/** Two processes, and what they do when. */
export interface Plan {
  /** Seconds that each process's clock is wrong. */
  offsets: readonly [number, number];
  /** Seconds that the clock of the store's server is wrong, where it has one. */
  server: number;
  /** Seconds that a solve may be old. */
  maxAge: number;
  steps: readonly Step[];
}

/** Makes a handle to the one store for a process: `own` is that one's clock, `server` the one of the store's server, if it has one. */
export type OpenStore = (own: () => number, server: () => number) => Store | Promise<Store>;

const offset = fc.oneof(
  fc.integer({ min: -MOST, max: MOST }),
  fc.constantFrom(-MOST, -1216, -1215, -306, -6, -1, 0, 1, 6, 306, 1216, MOST),
);
const step = fc.record<Step>({
  at: fc.constantFrom(0, 1),
  does: fc.constantFrom("write", "fresh", "commit", "submit", "protect", "sweep"),
  wait: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(1, 299, 1216, 2200), fc.integer({ min: 0, max: 2 * MOST })),
});
const plan = fc.record<Plan>({
  offsets: fc.tuple(offset, offset),
  server: offset,
  maxAge: fc.constantFrom(305, 305, 86_400),
  steps: fc.array(step, { minLength: 2, maxLength: 14 }),
});

/** The worst that is known: one process after the other, each with all that it can get. */
export function bothInTurn(first: number, second: number, wait = 0): Plan {
  const all = (at: 0 | 1): Step[] => (["commit", "submit", "write", "fresh", "protect"] as const).map((does) => ({ at, does, wait: 0 }));
  const [before, after] = [all(0), all(1)];
  return {
    offsets: [first, second],
    server: 0,
    maxAge: 305,
    steps: [...before, { at: 0, does: "sweep", wait }, ...after, ...before, ...after],
  };
}

/** Tries `runs` random plans; the shortest one that got too much, or undefined. */
export async function findExcess(open: OpenStore, runs: number): Promise<string | undefined> {
  const property = fc.asyncProperty(plan, async (given) => isRight(await visit(open, given)));
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: runs, seed: 8 });
  if (!failed) return undefined;
  return `${JSON.stringify(counterexample)} ${errorInstance instanceof Error ? (errorInstance.stack ?? "") : ""}`;
}

/** Whether nothing came to more than one solve, one clearance and one commitment have. */
export function isRight({ writes, cleared, rows }: Tally): boolean {
  return writes <= USES && cleared <= USES && rows <= 1;
}

/** Pairs of clocks that are tried wherever tests are not named one by one. */
const PAIRS = [
  [0, -1216],
  [-1216, 0],
  [-MOST, 0],
  [-MOST, MOST],
  [MOST, -MOST],
] as const;

/** All of the above in one, for a runtime without a test runner: what came of right clocks, and everything that was too much. */
export async function report(open: OpenStore, runs: number): Promise<{ right: Tally; wrong: unknown[] }> {
  const right = await visit(open, bothInTurn(0, 0));
  const wrong: unknown[] = [];
  for (const [first, second] of PAIRS) {
    for (const wait of [0, 1216, 2 * MOST - 1]) {
      const tally = await visit(open, bothInTurn(first, second, wait));
      if (!isRight(tally)) wrong.push([first, second, wait, tally]);
    }
    const revoked = await afterRevocation(open, [first, second]);
    if (revoked > 0) wrong.push([first, second, "revoked", revoked]);
  }
  const found = await findExcess(open, runs);
  return { right, wrong: found === undefined ? wrong : [...wrong, found] };
}

/** What one process gives a visitor who tries everything twice, in real time. `solved`: ms. */
export async function grab(own: Pick<GateOptions, "secrets" | "clock" | "store">, solved: number): Promise<Tally> {
  const gate = processOf(own, 305);
  const [held, tally] = begin(solved);
  for (const does of ["commit", "submit", "write", "fresh", "write"] as const) await DEEDS[does](gate, held, tally, Date.now());
  return tally;
}

let serial = 0;

/** The two processes of a plan; `truth` is what time it is. */
async function processesOf(open: OpenStore, { offsets, server, maxAge }: Omit<Plan, "steps">, truth: () => number): Promise<Gate[]> {
  // A secret of its own: what earlier visitors left in the store concerns nobody.
  const secrets = `a signing secret of visitor ${String(serial++).padStart(8, "0")}`;
  // One board: a commitment that was charged and that the board does not know is written by its repeat.
  const board = memoryBoard();
  const gates: Gate[] = [];
  for (const seconds of offsets) {
    const clock = (): number => truth() + seconds * 1000;
    gates.push(processOf({ secrets, clock, store: await open(clock, () => truth() + server * 1000) }, maxAge, board));
  }
  return gates;
}

/** Does what the plan says. Everything is asked several times at once. */
export async function visit(open: OpenStore, { steps, ...plan }: Plan): Promise<Tally> {
  let time = START;
  const gates = await processesOf(open, plan, () => time);
  const [held, tally] = begin(START);
  for (const { at, does, wait } of steps) {
    time += wait * 1000;
    const gate = gates[at];
    if (gate) await DEEDS[does](gate, held, tally, time);
  }
  return tally;
}

/** The first process revokes the session of a visitor of the second one: what is accepted after that, at once and as long as a session lives. */
export async function afterRevocation(open: OpenStore, offsets: Plan["offsets"]): Promise<number> {
  let time = START;
  const [first, second] = await processesOf(open, { offsets, server: 0, maxAge: 86_400 }, () => time);
  const [held, tally] = begin(START);
  if (!first || !second) throw new Error("Expected two processes");
  // A process that is behind refuses a solve from its future. Then the session is the first one's.
  const issuer = offsets[1] >= -TOLERANCE ? second : first;
  const session = await exchange(issuer, held);
  // Behind are both: there is no session.
  if (session === "none" && Math.max(...offsets) < -TOLERANCE) return 0;
  await first.sessions.revoke((await issuer.sessions.verify(session)).jti);
  for (const wait of [0, 299, 1000]) {
    time += wait * 1000;
    for (const gate of [first, second]) {
      await DEEDS.write(gate, held, tally, time);
      await DEEDS.fresh(gate, held, tally, time);
      await gate.run("sweep");
    }
  }
  return tally.writes;
}

function begin(solved: number): [Held, Tally] {
  const token = tokenOf({ at: solved, action: "score_submit", cdata: "" });
  return [
    { sessions: [], token, commitment: "", clearances: [] },
    { writes: 0, cleared: 0, rows: 0 },
  ];
}

/** What the visitor has got so far. */
interface Held {
  sessions: string[];
  /** The one solve of the page. */
  token: string;
  commitment: string;
  challenge?: { challenge_id: string; original_request_id: string; action: string; cdata: string };
  /** The one solve of the challenge. */
  solved?: string;
  clearances: string[];
}

const DEEDS: Record<Step["does"], (gate: Gate, held: Held, tally: Tally, time: number) => Promise<void>> = {
  async write(gate, held, tally) {
    const sessions = [await exchange(gate, held), ...held.sessions.slice(-2)];
    const answers = await Promise.all(
      sessions.flatMap((session) => [1, 2].map((score) => post(gate, "/api/scores", { score }, bearer(session)))),
    );
    tally.writes += answers.filter(({ status }) => status === 201).length;
  },
  async fresh(gate, held, tally) {
    const headers = { "x-turnstile-token": held.token };
    const answers = await Promise.all([1, 2].map((score) => post(gate, "/api/scores", { score }, headers)));
    tally.writes += answers.filter(({ status }) => status === 201).length;
  },
  async commit(gate, held, tally) {
    const { status, commitment } = await post(gate, "/api/commitments", { score: 7 }, bearer(await exchange(gate, held)));
    if (status === 200) tally.writes += 1;
    if (held.commitment === "" && typeof commitment === "string") held.commitment = commitment;
  },
  async submit(gate, held, tally) {
    const { commitment } = held;
    if (commitment === "") return;
    const session = await exchange(gate, held);
    const answers = await Promise.all([1, 2].map(() => post(gate, "/api/scores", { commitment }, bearer(session))));
    const written = answers.filter(({ status }) => status === 201).length;
    tally.rows += written;
    tally.writes += written;
  },
  async protect(gate, held, tally, time) {
    if (!held.challenge) {
      const { status, ...body } = await post(gate, "/pay", {}, DEVICE);
      if (!isChallenge(body)) return;
      held.challenge = body;
      held.solved = tokenOf({ at: time, action: body.action, cdata: body.cdata });
    }
    const { challenge_id, original_request_id } = held.challenge;
    const body = { challenge_id, original_request_id, turnstile_token: held.solved, device_id: "phone" };
    const verified = await Promise.all([1, 2].map(() => post(gate, "/api/security/turnstile/verify", body)));
    for (const { app_clearance_token: token } of verified) if (typeof token === "string") held.clearances.push(token);
    const tokens = held.clearances.slice(-3).flatMap((token) => [token, token]);
    const answers = await Promise.all(tokens.map((token) => post(gate, "/pay", {}, { ...DEVICE, "x-app-clearance": token })));
    tally.cleared += answers.filter(({ status }) => status === 200).length;
  },
  async sweep(gate) {
    await gate.run("sweep");
  },
};

/** The session that the token gives here, or the last one that it gave anywhere. */
async function exchange(gate: Gate, held: Held): Promise<string> {
  const { sessionToken } = await post(gate, "/api/session", { turnstileToken: held.token });
  if (typeof sessionToken === "string") held.sessions.push(sessionToken);
  return held.sessions.at(-1) ?? "none";
}

function processOf(own: Pick<GateOptions, "secrets" | "clock" | "store">, maxAge: number, board: ScoreBoard = memoryBoard()): Gate {
  const gate: Gate = createGate({
    ...own,
    session: { uses: USES, ttl: 900 },
    turnstile: {
      secret: "secret-of-a-provider-that-says-yes",
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://provider.example/siteverify",
      maxAge,
    },
    fetch: async (_input, init) => siteverify(String(init?.body)),
    clientIp: () => "203.0.113.7",
    limits: Object.fromEntries(
      ["session", "scores.read", "scores.write", "scores.commit", "clearance.attempts", "clearance.failures", "clearance.issued"].map(
        (name) => [name, [{ name, limit: 1_000_000, window: 1, by: "ip" }]],
      ),
    ),
    features: [scores({ board }), clearance({ policy: { always_require_clearance: [{ path: "/pay", max_uses: USES, ttl: 1800 }] } })],
    onError: (error) => {
      throw error;
    },
  });
  return { ...gate, fetch: async (request) => (await gate.handle(request)) ?? gate.guard(() => Response.json({}))(request) };
}

/** A solve, as its token. */
interface Solve {
  at: number;
  action: string;
  cdata: string;
}

/**
 * A provider that says yes whenever it is asked, with the time of the solve: more than Cloudflare does, which forgets a token after five minutes.
 * So nothing but the gates' own counting holds.
 */
function siteverify(body: string): Response {
  const { response }: { response: string } = JSON.parse(body);
  const { at, action, cdata }: Solve = JSON.parse(atob(response));
  return Response.json({ success: true, challenge_ts: new Date(at).toISOString(), hostname: "game.example", action, cdata });
}

function tokenOf(solve: Solve): string {
  return btoa(JSON.stringify(solve));
}

async function post(gate: Gate, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Record<string, unknown>> {
  const init = { method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) };
  const response = await gate.fetch(new Request(ORIGIN + path, init));
  if (response.status >= 500) throw new Error(`${path} answered ${response.status}`);
  const answer: Record<string, unknown> = await response.json();
  return { ...answer, status: response.status };
}

function bearer(session: string): Record<string, string> {
  return { "x-gatepass-session": session };
}

function isChallenge(body: Record<string, unknown>): body is Record<string, string> & NonNullable<Held["challenge"]> {
  return ["challenge_id", "original_request_id", "action", "cdata"].every((name) => typeof body[name] === "string");
}
