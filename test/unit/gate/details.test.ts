import { describe, expect, it } from "vitest";
import { GatepassError } from "../../../src/errors.ts";
import { createEnvironments } from "../../../src/gate/environments.ts";
import type { Admitted, Feature, GateOptions, GuardContext } from "../../../src/gate/types.ts";
import type { Quota } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, ORIGIN, testGate } from "../../helpers/gate.ts";
import { emulated, SECRET } from "./kit.ts";

const post = (headers: Record<string, string> = {}): Request => new Request(`${ORIGIN}/x`, { method: "POST", headers });

describe("the limit `session`", () => {
  it.each([
    [[]],
    [[{ name: "by-session", limit: 5, window: 60, by: "session" as const }]],
    [[{ name: "by-device", limit: 5, window: 60, by: ["ip", "device"] as const }]],
    [[{ name: "by-user", limit: 5, window: 60, by: "user" as const }]],
  ])("needs a rule by address, or unchecked tokens would be asked about without end: %j", (session) => {
    expect(() => testGate({ limits: { session } })).toThrow(/"limits\.session"/);
  });

  it("takes rules of one's own beside that", async () => {
    const session = [
      { name: "by-address", limit: 2, window: 60, by: "ip" as const },
      { name: "by-device", limit: 5, window: 60, by: ["ip", "device"] as const },
    ];
    const at = testGate({ limits: { session } });
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) => at.send("POST", "/session", { turnstileToken: `made-up-token-of-a-stranger-${i}` })),
    );
    expect([all.filter(({ status }) => status === 403).length, at.emulator.control.counts().siteverify]).toEqual([2, 2]);
  });
});

describe("the context of a feature", () => {
  /** What a feature saw of one request. */
  async function seenBy(request: Request, options: Partial<GateOptions> = {}): Promise<GuardContext[]> {
    const seen: GuardContext[] = [];
    const first: Feature = { name: "first", signals: async () => ({ honeypot: true }) };
    const second: Feature = {
      name: "second",
      async signals(_, context) {
        seen.push(context);
        return {};
      },
      async guard(_, context) {
        await context.signals();
        return undefined;
      },
    };
    await testGate({ features: [() => first, () => second], ...options }).gate.protect(request);
    return seen;
  }

  it("for signals is whole: what features before it said, who asks, an event of its own", async () => {
    const [context] = await seenBy(post({ "x-device-id": "phone-1" }), { identify: () => ({ user: "ada" }) });
    expect(await context?.signals()).toEqual({ honeypot: true });
    expect([context?.subjects.user, context?.subjects.device, context?.info.ip]).toEqual(["ada", "phone-1", "203.0.113.7"]);
    expect([typeof context?.emit, await context?.session(), await context?.hasLiveSession()]).toEqual(["function", undefined, false]);
  });

  it.each(["a b", "!phone", "phone!", "x".repeat(65), "тел"])("a device id of other characters names no device: %s", async (id) => {
    const headers = new Headers();
    try {
      headers.set("x-device-id", id);
    } catch {
      // A header cannot hold it at all.
    }
    const [context] = await seenBy(new Request(`${ORIGIN}/x`, { method: "POST", headers }));
    expect(context?.subjects.device).toBeUndefined();
  });
});

describe("gate.check()", () => {
  it("charges a use and a rate of a random key, and gives both back", async () => {
    const inner = memoryStore();
    const spends: (readonly Quota[])[] = [];
    const refunds: (readonly Quota[])[] = [];
    const store = {
      ...inner,
      spend: (quotas: readonly Quota[]) => {
        spends.push(quotas);
        return inner.spend(quotas);
      },
      refund: (quotas: readonly Quota[], at: number) => {
        refunds.push(quotas);
        return inner.refund(quotas, at);
      },
    };
    const { gate } = testGate({ store, features: [] });
    await gate.check();
    await gate.check();
    const keys = spends.filter(({ length }) => length > 0).map((quotas) => quotas.map(({ key }) => key));
    expect(keys).toHaveLength(2);
    for (const [use = "", rate = ""] of keys) {
      const [, id = ""] = /^ucheck:s([\w-]{22})$/.exec(use) ?? [];
      expect([id.length, rate]).toEqual([22, `s${id}|rscheck:1`]);
    }
    expect(keys[0]).not.toEqual(keys[1]);
    expect(refunds).toEqual(spends.filter(({ length }) => length > 0));
  });
});

describe("a function of the environment whose parameter has a default, on Workers", () => {
  it("is called once more for calls that bring no environment, as those of a program at its start", () => {
    const asked: unknown[] = [];
    const options = (...all: unknown[]): GateOptions => {
      asked.push(...all);
      return { secrets: SECRET, turnstile: emulated, store: memoryStore() };
    };
    const of = createEnvironments(options);
    const [env, other] = [{ NAME: "one" }, { NAME: "two" }];
    const alone = of(undefined, true);
    expect(of(undefined, true)).toBe(alone);
    const first = of(env, true);
    expect([of(env, true), of(other, true) === first, alone === first]).toEqual([first, false, false]);
    expect(asked).toEqual([undefined, env, other]);
  });
});

describe("turnstile.fetch", () => {
  it("is a function, and is the one that siteverify is asked by", async () => {
    expect(() => testGate({ turnstile: { ...emulated, fetch: JSON.parse("5") } })).toThrow(/"turnstile\.fetch"/);
    const asked: string[] = [];
    const at = testGate({
      turnstile: {
        ...emulated,
        async fetch(input) {
          asked.push(String(input instanceof Request ? input.url : input));
          return Response.json({ success: false, "error-codes": ["invalid-input-response"] });
        },
      },
    });
    expect((await at.send("POST", "/session", { turnstileToken: "made-up-token-of-a-stranger" })).status).toBe(403);
    expect(asked).toEqual(["https://emulator.example/turnstile/v0/siteverify"]);
  });
});

describe("admission.settle", () => {
  async function admitted(
    cost: number,
    options: Partial<GateOptions> = {},
  ): Promise<{ at: ReturnType<typeof testGate>; token: string; admission: Admitted }> {
    const at = testGate({ session: { uses: 10 }, ...options });
    const token = await at.session();
    const admission = await at.gate.protect(post(bearer(token)), { action: "score_submit", cost });
    if (!admission.ok) throw new Error(`Refused: ${admission.code}`);
    return { at, token, admission };
  }
  /** How many requests of one use each the session still pays for. */
  async function usesLeft(at: ReturnType<typeof testGate>, token: string): Promise<number> {
    for (let used = 0; ; used++) {
      const next = await at.gate.protect(post(bearer(token)), { action: "score_submit" });
      if (!next.ok) {
        expect(next.code).toBe("SESSION_EXHAUSTED");
        return used;
      }
    }
  }

  it("charges the most, and gives back what the request did not cost", async () => {
    for (const [cost, actual, left] of [
      [8, 3, 7],
      [8, 0, 10],
      [8, 8, 2],
      [1, 1, 9],
    ] as const) {
      const { at, token, admission } = await admitted(cost);
      await admission.settle(actual);
      expect([cost, actual, await usesLeft(at, token)]).toEqual([cost, actual, left]);
    }
  });

  it("meanwhile nobody else has these uses: two requests that could cost all cannot both begin", async () => {
    const { at, token, admission } = await admitted(8);
    expect(await at.gate.protect(post(bearer(token)), { action: "score_submit", cost: 8 })).toMatchObject({
      ok: false,
      code: "SESSION_EXHAUSTED",
    });
    await admission.settle(1);
    expect(await at.gate.protect(post(bearer(token)), { action: "score_submit", cost: 8 })).toMatchObject({ ok: true });
  });

  it("once is enough, again with less gives back more, and undo gives back the rest alone", async () => {
    const { at, token, admission } = await admitted(8);
    await Promise.all([admission.settle(5), admission.settle(5)]);
    await admission.settle(2);
    await admission.settle(4);
    await admission.undo();
    await admission.undo();
    await admission.settle(0);
    expect(await usesLeft(at, token)).toBe(10);
  });

  it("a limit stays charged, and a fresh token is not given a second life", async () => {
    const { admission } = await admitted(5, { limits: { "scores.write": [{ name: "few", limit: 1, window: 60, by: "ip" }] } });
    await admission.settle(0);
    const at = testGate({ session: { uses: 10 } });
    const fresh = { "x-turnstile-token": await at.mint() };
    const first = await at.gate.protect(post(fresh), { action: "score_submit", cost: 5 });
    if (!first.ok) throw new Error(first.code);
    await first.settle(0);
    expect(await at.gate.protect(post(fresh), { action: "score_submit" })).toMatchObject({ ok: false });
  });

  it.each([-1, 1.5, 9, Number.NaN, Infinity])("refuses %s of 8 uses, and keeps them", async (actual) => {
    const { at, token, admission } = await admitted(8);
    await expect(admission.settle(actual)).rejects.toThrow(RangeError);
    expect(await usesLeft(at, token)).toBe(2);
  });

  it("a store that is down costs the client its uses, and the program no error", async () => {
    const inner = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
    let down = false;
    const store = {
      ...inner,
      refund: (...all: Parameters<typeof inner.refund>) =>
        down ? Promise.reject(new GatepassError("ERR_STORE_UNAVAILABLE", "Down")) : inner.refund(...all),
    };
    const { at, token, admission } = await admitted(8, { store });
    down = true;
    await admission.settle(1);
    expect(at.events.at(-1)).toMatchObject({ type: "store_unavailable" });
    expect(await usesLeft(at, token)).toBe(2);
  });
});
