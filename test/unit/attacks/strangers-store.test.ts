import { describe, expect, it } from "vitest";
import type { GateOptions } from "../../../src/gate/types.ts";
import type { ChallengeAnswer } from "../../../src/protocol.ts";
import { type MemoryStore, memoryStore } from "../../../src/store/index.ts";
import { addressOf, FORMS, type Form, type Strangers, strangers } from "../../helpers/strangers.ts";

const START = Date.UTC(2026, 10, 20, 12);
const HOME = "203.0.113.7";
const VERIFY = "/security/turnstile/verify";

interface Scene extends Strangers {
  store: MemoryStore;
  advance(ms: number): void;
}

function scene(options: Partial<GateOptions> = {}, maxKeys?: number): Scene {
  let time = START;
  const clock = (): number => time;
  const store = memoryStore({ clock, ...(maxKeys !== undefined && { maxKeys }) });
  return Object.assign(strangers(store, { clock, ...options }), {
    store,
    advance(ms: number) {
      time += ms;
    },
  });
}

/** Requests of a form, some at once. */
async function flood({ junk }: Strangers, form: Form, from: number, count: number): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  for (let i = 0; i < count; i += 50) {
    const some = Array.from({ length: Math.min(50, count - i) }, (_, j) => junk(form, from + i + j));
    for (const status of await Promise.all(some)) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  return statuses;
}

/** Keys that a store must not forget, so that strangers could fill it with them. */
const lasting = ({ store }: Scene): string[] => store.keys().filter((key) => key.startsWith("u"));

const statusOf = async (answer: Promise<Response>): Promise<number> => (await answer).status;

describe("junk of strangers leaves nothing that a store must not forget", () => {
  it.each(FORMS)("%s", async (form) => {
    const at = scene();
    await flood(at, form, 0, 200);
    expect(lasting(at)).toEqual([]);
    // What there is is gone soon.
    at.advance(1.1 * 86_400_000 + 1);
    await at.store.sweep?.(1_000_000);
    expect(at.store.size).toBe(0);
  });

  it.each(["monitor", "off"] as const)("under mode %s", async (mode) => {
    const at = scene({ mode });
    for (const form of FORMS) await flood(at, form, 0, 50);
    expect(lasting(at)).toEqual([]);
  });

  it("while Cloudflare is down and any text is a session or a clearance", async () => {
    const at = scene({
      fetch: () => Promise.reject(new TypeError("down")),
      turnstile: {
        secret: "1x0000000000000000000000000000000AA",
        sitekey: "1x00000000000000000000AA",
        allowedHostnames: ["game.example"],
        allowTestKeys: true,
        onUnavailable: "degraded",
        timeoutMs: 50,
      },
    });
    for (let i = 0; i < 40; i++) {
      const from = addressOf(i);
      const { sessionToken } = await (await at.send(from, "POST", "/session", { turnstileToken: `junk-${i}` })).json();
      const bearer = { authorization: `Bearer ${sessionToken}` };
      // Each write names its call, as the client does.
      const call = (n: number): string => `"${`call-${i}-${n}`.padEnd(22, "A")}"`;
      const writes = [1, 2, 3].map((score) =>
        statusOf(at.send(from, "POST", "/scores", { score }, { ...bearer, "idempotency-key": call(score) })),
      );
      expect((await Promise.all(writes)).sort()).toEqual([201, 201, 401]);
      const fresh = { "x-turnstile-token": `fresh-${i}`, "idempotency-key": call(4) };
      expect(await statusOf(at.send(from, "POST", "/scores", { score: 4 }, fresh))).toBe(201);
      const again = await (await at.send(from, "POST", "/session", { turnstileToken: `again-${i}` })).json();
      const other = { authorization: `Bearer ${again.sessionToken}` };
      const { commitment } = await (await at.send(from, "POST", "/commitments", { score: 9 }, other)).json();
      // Twice at once: a commitment that nobody checked counts once, too.
      const submitted = [1, 2].map(() => statusOf(at.send(from, "POST", "/scores", { commitment }, other)));
      expect((await Promise.all(submitted)).filter((status) => status === 201)).toEqual([201]);
      const device = { "x-device-id": `d${i}` };
      const asked: ChallengeAnswer = await (await at.protect(from, "/pay", device)).json();
      const { challenge_id, original_request_id } = asked;
      const body = { challenge_id, original_request_id, turnstile_token: `junk-${i}`, device_id: `d${i}` };
      const { app_clearance_token: clearance } = await (await at.send(from, "POST", VERIFY, body)).json();
      const pay = (): Promise<number> =>
        statusOf(at.protect(from, "/pay", { ...device, "x-app-clearance": clearance, "x-request-id": `r${i}` }));
      expect((await Promise.all([pay(), pay(), pay()])).sort()).toEqual([200, 409, 409]);
    }
    expect(lasting(at)).toEqual([]);
  });

  it("a key that holds a stranger's own text is charged together with one of its network or address alone", async () => {
    const at = scene();
    const { spend } = at.store;
    const alone: string[] = [];
    // Addresses and networks as they are; a digest stands for a text.
    const ofNetwork = (key: string): boolean => /^s(p:s)?\d+\.\d+\.\d+(\.\d+)?\|/.test(key);
    Object.assign(at.store, {
      async spend(quotas: Parameters<typeof spend>[0]) {
        const charged = quotas.filter(({ cost }) => cost !== 0);
        if (charged.length > 0 && !charged.some(({ key }) => ofNetwork(key))) alone.push(...charged.map(({ key }) => key));
        return spend(quotas);
      },
    });
    for (const form of FORMS) await flood(at, form, 2, 60);
    // The names of one device, beside the reports that were charged for them just before.
    expect(alone.filter((key) => !/risk\.users?:/.test(key))).toEqual([]);
  });
});

describe("a store that strangers fill from 1,000 networks", () => {
  it("serves an honest visitor, and every limit that was reached still holds", { timeout: 120_000 }, async () => {
    const at = scene({}, 2000);
    const spent = await spendAll(at);
    expect(await tryAgain(at, spent)).toEqual(REFUSED);

    const before = at.store.keys();
    let through = 0;
    for (const form of FORMS) {
      const statuses = await flood(at, form, 0, 1000);
      // Nobody is told that the store is full.
      expect([form, statuses.get(503) ?? 0]).toEqual([form, 0]);
      for (const count of statuses.values()) through += count;
    }
    expect(through).toBe(FORMS.length * 1000);
    expect(at.store.size).toBe(2000);
    // The counters of the attackers themselves are long removed, and nothing that lasts is.
    const rates = before.filter((key) => !key.startsWith("u"));
    expect(at.store.keys().filter((key) => rates.includes(key)).length).toBeLessThan(rates.length / 2);
    expect(lasting(at).sort()).toEqual(before.filter((key) => key.startsWith("u")).sort());

    expect(await tryAgain(at, spent)).toEqual(REFUSED);
    expect(await honest(at, "198.51.100.9", "honest-phone")).toEqual({
      read: 200,
      exchange: 200,
      write: 201,
      verify: 200,
      pay: 200,
      login: 200,
    });
    expect(await honest(at, "2001:db8::9", "other-phone")).toEqual({
      read: 200,
      exchange: 200,
      write: 201,
      verify: 200,
      pay: 200,
      login: 200,
    });

    // And afterwards everything is as before.
    at.advance(1.1 * 86_400_000 * 2);
    expect(await honest(at, HOME, "phone")).toEqual({ read: 200, exchange: 200, write: 201, verify: 200, pay: 200, login: 200 });
  });
});

/** What an honest visitor does, each with its status. */
async function honest({ send, protect, solve }: Scene, from: string, device: string): Promise<Record<string, number>> {
  const read = await send(from, "GET", "/scores");
  const exchange = await send(from, "POST", "/session", { turnstileToken: await solve() });
  const { sessionToken }: { sessionToken: string } = await exchange.json();
  const write = await send(from, "POST", "/scores", { score: 5 }, { authorization: `Bearer ${sessionToken}` });
  const headers = { "x-device-id": device, "x-request-id": "first" };
  const asked: ChallengeAnswer = await (await protect(from, "/pay", headers)).json();
  const { challenge_id, original_request_id } = asked;
  const body = { challenge_id, original_request_id, device_id: device, turnstile_token: await solve(asked) };
  const verify = await send(from, "POST", VERIFY, body);
  const { app_clearance_token: token }: { app_clearance_token: string } = await verify.json();
  const pay = await protect(from, "/pay", { ...headers, "x-app-clearance": token });
  const login = await protect(from, "/login", { "x-device-id": device, "x-test-user": "ann" });
  return {
    read: read.status,
    exchange: exchange.status,
    write: write.status,
    verify: verify.status,
    pay: pay.status,
    login: login.status,
  };
}

/** What was used up before the flood. */
interface Spent {
  session: string;
  solve: string;
  clearance: string;
  challenge: ChallengeAnswer;
}

const PHONE = { "x-device-id": "phone" };

/** Uses up one of everything that is limited, from addresses of its own. */
async function spendAll(at: Scene): Promise<Spent> {
  const { send, protect, solve } = at;
  const solved = await solve();
  const { sessionToken: session }: { sessionToken: string } = await (
    await send("198.18.1.1", "POST", "/session", { turnstileToken: solved })
  ).json();
  for (let i = 0; i < 20; i++) await send(`198.18.2.${i}`, "POST", "/scores", { score: i }, { authorization: `Bearer ${session}` });
  const challenge: ChallengeAnswer = await (await protect("198.18.3.1", "/pay", PHONE)).json();
  const { challenge_id, original_request_id } = challenge;
  const body = { challenge_id, original_request_id, device_id: "phone", turnstile_token: await solve(challenge) };
  const { app_clearance_token: clearance }: { app_clearance_token: string } = await (await send("198.18.3.1", "POST", VERIFY, body)).json();
  for (const id of ["a", "b"]) await protect("198.18.3.1", "/pay", { ...PHONE, "x-app-clearance": clearance, "x-request-id": id });
  for (let i = 0; i < 5; i++) await at.junk("moderation", i, "198.18.4.1");
  for (let i = 0; i < 120; i++) await send("198.18.5.1", "GET", "/scores");
  for (let i = 0; i < 30; i++) await at.junk("exchange", i, "198.18.6.1");
  for (let i = 0; i < 15; i++) await at.junk("fresh token", i, "198.18.7.1");
  for (let i = 0; i < 5; i++) await at.junk("verification", i, "198.18.8.1");
  for (let i = 0; i < 10; i++) await protect("198.18.9.1", "/login", { ...PHONE, "x-test-user": `user${i}` });
  for (let i = 0; i < 6; i++) await at.gate.report(logIn("198.18.10.1"), "login_failed", { account: `account${i}` });
  return { session, solve: solved, clearance, challenge };
}

const logIn = (from: string): Request =>
  new Request("https://game.example/api/login", { method: "POST", headers: { ...PHONE, "x-test-from": from } });

/** The answers to one more of each. */
async function tryAgain(at: Scene, { session, solve, clearance, challenge }: Spent): Promise<Record<string, number>> {
  const { send, protect } = at;
  const { challenge_id, original_request_id } = challenge;
  const body = { challenge_id, original_request_id, device_id: "phone", turnstile_token: await at.solve(challenge) };
  return {
    session: await statusOf(send("198.18.2.99", "POST", "/scores", { score: 1 }, { authorization: `Bearer ${session}` })),
    solve: await statusOf(send("198.18.2.98", "POST", "/scores", { score: 1 }, { "x-turnstile-token": solve })),
    clearance: await statusOf(protect("198.18.3.1", "/pay", { ...PHONE, "x-app-clearance": clearance })),
    request: await statusOf(protect("198.18.3.1", "/pay", { ...PHONE, "x-app-clearance": clearance, "x-request-id": "a" })),
    challenge: await statusOf(send("198.18.3.2", "POST", VERIFY, body)),
    moderation: await at.junk("moderation", 99, "198.18.4.1"),
    read: await statusOf(send("198.18.5.1", "GET", "/scores")),
    exchange: await at.junk("exchange", 99, "198.18.6.1"),
    "fresh token": await at.junk("fresh token", 99, "198.18.7.1"),
    verification: await at.junk("verification", 99, "198.18.8.1"),
    "log-in": await statusOf(protect("198.18.9.1", "/login", { ...PHONE, "x-test-user": "user99" })),
    risk: await statusOf(protect("198.18.10.1", "/login", PHONE)),
  };
}

const REFUSED: Record<string, number> = {
  session: 401,
  solve: 401,
  clearance: 403,
  request: 409,
  challenge: 403,
  moderation: 429,
  read: 429,
  exchange: 429,
  "fresh token": 429,
  verification: 429,
  "log-in": 429,
  risk: 403,
};
