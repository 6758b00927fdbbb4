import { describe, expect, test } from "vitest";
import { EMULATOR_SECRET } from "../../../src/emulator/index.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import type { LimitRule } from "../../../src/limits/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, SECRET, type TestGate, testGate } from "../../helpers/gate.ts";

const wide = (name: string): LimitRule[] => [{ name, limit: 100_000, window: 60, by: "ip" }];
const WIDE: GateOptions["limits"] = Object.fromEntries(
  ["session", "scores.write", "scores.commit", "scores.read"].map((name) => [name, wide(name)]),
);
const START = Date.UTC(2026, 10, 20, 12);

const turnstile = (more: Partial<NonNullable<GateOptions["turnstile"]>> = {}): NonNullable<GateOptions["turnstile"]> => ({
  secret: EMULATOR_SECRET,
  allowedHostnames: ["game.example"],
  allowTestKeys: true,
  siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
  ...more,
});

/** The session tokens that a Turnstile token gives when it is exchanged `times` times at once. */
async function sessionsOf({ send }: TestGate, turnstileToken: string, times: number): Promise<string[]> {
  const answers = await Promise.all(Array.from({ length: times }, () => send("POST", "/session", { turnstileToken })));
  const bodies: { sessionToken?: string }[] = await Promise.all(answers.map((answer) => answer.json()));
  return bodies.flatMap(({ sessionToken }) => sessionToken ?? []);
}

/** How many of `times` writes with each credential at once are accepted, commitments and submissions in turn. */
async function written({ send }: TestGate, credentials: readonly Record<string, string>[], times: number): Promise<number> {
  const all = credentials.flatMap((credential) => Array.from({ length: times }, () => credential));
  const answers = await Promise.all(all.map((credential, i) => send("POST", i % 2 ? "/scores" : "/commitments", { score: i }, credential)));
  return answers.filter(({ status }) => status < 300).length;
}

const fresh = (token: string): Record<string, string> => ({ "x-turnstile-token": token });

describe("one solve is twenty writes", () => {
  test("by sessions of every age and the token itself, all at once", async () => {
    const at = testGate({ limits: WIDE });
    const token = await at.mint();
    let total = await written(at, [fresh(token)], 3);
    const sessions = await sessionsOf(at, token, 10);
    total += (await Promise.all([written(at, sessions.slice(0, 5).map(bearer), 2), written(at, [fresh(token)], 5)])).reduce(
      (a, b) => a + b,
    );
    at.advance(295_000);
    sessions.push(...(await sessionsOf(at, token, 10)));
    total += await written(at, [...sessions.map(bearer), fresh(token)], 4);
    at.advance(290_000);
    total += await written(at, sessions.map(bearer), 4);
    expect(total).toBe(20);
  });

  test("before and after the secret is rotated: the old session goes on, the token gives no second one", async () => {
    const at = testGate({ limits: WIDE });
    const token = await at.mint();
    const [session = ""] = await sessionsOf(at, token, 1);
    const before = await written(at, [bearer(session)], 7);
    const next = testGate({
      limits: WIDE,
      secrets: ["another signing secret of the tests, of 32 bytes", SECRET],
      store: at.store,
      fetch: (input, init) => at.emulator.fetch(new Request(input, init)),
    });
    expect(await sessionsOf(next, token, 5)).toEqual([]);
    expect(before + (await written(next, [bearer(session), fresh(token)], 30))).toBe(20);
  });

  test("while nobody can be asked it is two, also when Cloudflare is back", async () => {
    let down = true;
    const at: TestGate = testGate({
      limits: WIDE,
      turnstile: turnstile({ onUnavailable: "degraded" }),
      fetch: async (input, init) => {
        if (down) throw new TypeError("down");
        return at.emulator.fetch(new Request(input, init));
      },
    });
    const token = await at.mint();
    const degraded = await sessionsOf(at, token, 10);
    expect(degraded).toHaveLength(10);
    const first = await written(at, [...degraded.map(bearer), fresh(token)], 3);
    expect(first).toBe(2);
    down = false;
    at.advance(31_000);
    expect(first + (await written(at, (await sessionsOf(at, token, 5)).map(bearer), 10))).toBe(20);
  });

  test("after a restart of the store in memory it is none, though the provider's clock is ahead of ours", async () => {
    let time = START;
    const clock = (): number => time;
    const ahead: GateOptions = { clock, limits: WIDE, store: memoryStore({ clock }) };
    const at: TestGate = testGate({
      ...ahead,
      fetch: async (input, init) => {
        const answer: Record<string, unknown> = await (await at.emulator.fetch(new Request(input, init))).json();
        return Response.json({ ...answer, challenge_ts: new Date(time + 4000).toISOString() });
      },
    });
    const [session = ""] = await sessionsOf(at, await at.mint(), 1);
    expect(await written(at, [bearer(session)], 30)).toBe(20);
    time += 2000;
    const restarted = testGate({ ...ahead, store: memoryStore({ clock }) });
    expect(await written(restarted, [bearer(session)], 30)).toBe(0);
  });

  test("when it is revoked it is none, whatever is exchanged and given back afterwards", async () => {
    const at = testGate({ limits: WIDE });
    const token = await at.mint();
    const [session = ""] = await sessionsOf(at, token, 1);
    const { jti } = await at.gate.sessions.verify(session);
    await at.gate.sessions.revoke(jti);
    at.advance(290_000);
    const later = await sessionsOf(at, token, 5);
    expect(await written(at, [...[session, ...later].map(bearer), fresh(token)], 5)).toBe(0);
  });
});

test("a write that failed on our side gives its use back once, however many fail at once", async () => {
  const at = testGate({ limits: WIDE });
  const [session = ""] = await sessionsOf(at, await at.mint(), 1);
  const submit = at.board.submit.bind(at.board);
  let broken = true;
  at.board.submit = async (entry, rules) => {
    if (broken) throw new Error("broken");
    return submit(entry, rules);
  };
  const answers = await Promise.all(Array.from({ length: 15 }, () => at.send("POST", "/scores", { score: 1 }, bearer(session))));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([500]));
  broken = false;
  expect(await written(at, [bearer(session)], 60)).toBe(20);
});

test("a board that fails after it wrote: the use comes back, the commitment's score counts once", async () => {
  const at = testGate({ limits: WIDE });
  const [session = ""] = await sessionsOf(at, await at.mint(), 1);
  const { sub } = await at.gate.sessions.verify(session);
  const answer = await at.send("POST", "/commitments", { board: "strict", score: 5 }, bearer(session));
  const { commitment }: { commitment: string } = await answer.json();
  const submit = at.board.submit.bind(at.board);
  at.board.submit = async (entry, rules) => {
    await submit(entry, rules);
    throw new Error("the answer was lost");
  };
  const lost = await Promise.all(Array.from({ length: 5 }, () => at.send("POST", "/scores", { commitment }, bearer(session))));
  expect(lost.map(({ status }) => status)).toEqual([500, 500, 500, 500, 500]);
  at.board.submit = submit;
  expect((await at.send("POST", "/scores", { commitment }, bearer(session))).status).toBe(200);
  expect(await at.board.top({ board: "strict", period: "all", limit: 10 })).toMatchObject([{ player: sub, score: 5, rank: 1 }]);
});
