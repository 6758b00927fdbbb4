import { describe, expect, it } from "vitest";
import { createEnvironments } from "../../../src/gate/environments.ts";
import type { Feature, GateOptions, GuardContext } from "../../../src/gate/types.ts";
import type { Quota } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { ORIGIN, testGate } from "../../helpers/gate.ts";
import { emulated, SECRET } from "./kit.ts";

const post = (headers: Record<string, string> = {}): Request => new Request(`${ORIGIN}/x`, { method: "POST", headers });

describe("the limit `session`", () => {
  it("cannot be without rules: unchecked tokens would then be asked about without end", () => {
    expect(() => testGate({ limits: { session: [] } })).toThrow(/"limits\.session": expected at least one rule/);
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
