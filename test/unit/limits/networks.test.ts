import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createLimiter, type Limiter, type LimitRule, planLimits, quotasOf, validateRules } from "../../../src/limits/index.ts";
import { partitionOf } from "../../../src/store/index.ts";
import { memoryStore } from "../../../src/store/memory.ts";

const NOW = Date.UTC(2026, 0, 1);
const minute: LimitRule = { name: "minute", limit: 15, window: 60, by: "ip" };
const request = new Request("http://game.example/");

/** The address of host `host` in subnet `subnet` (16 bits) of the /48 number `site`. */
const address = (site: number, subnet: number, host = 1): string =>
  `2001:db8:${site.toString(16)}:${subnet.toString(16)}::${host.toString(16)}`;

function setup(rules: LimitRule[] = [minute]): { limiter: Limiter; store: ReturnType<typeof memoryStore>; tick(seconds: number): void } {
  let now = NOW;
  const store = memoryStore({ clock: () => now });
  const tick = (seconds: number): void => {
    now += seconds * 1000;
  };
  return { limiter: createLimiter({ store, rules, clock: () => now }), store, tick };
}

/** How many of `count` calls from the addresses pass. */
async function passing(limiter: Limiter, count: number, ipOf: (i: number) => string, more: object = {}): Promise<number> {
  let passed = 0;
  for (let i = 0; i < count; i++) if ((await limiter.limit({ ip: ipOf(i), ...more })).success) passed += 1;
  return passed;
}

describe("whoever owns a network is not a new visitor at each of its addresses", () => {
  it("one /64 has the limit, whatever host part it writes", async () => {
    const { limiter } = setup();
    expect(await passing(limiter, 100, (i) => address(1, 2, i + 1))).toBe(15);
  });

  it("a /56 has 4 times the limit for its 256 networks, a /48 16 times for its 65,536", async () => {
    const { limiter } = setup();
    expect(await passing(limiter, 1000, (i) => address(1, 0x4200 + (i % 256)))).toBe(60);
    const other = setup().limiter;
    expect(await passing(other, 3000, (i) => address(1, (i * 40_503) % 65_536))).toBe(240);
  });

  it("by hundreds at once, too, and the same again when the window is over", async () => {
    const { limiter, tick } = setup();
    const crowd = async (): Promise<number> => {
      const results = await Promise.all(Array.from({ length: 500 }, (_, i) => limiter.limit({ ip: address(7, i * 131) })));
      return results.filter(({ success }) => success).length;
    };
    expect([await crowd(), await crowd()]).toEqual([240, 0]);
    tick(66);
    expect(await crowd()).toBe(240);
  });

  it("its innocent neighbours in another /48 are not in its way, those in its own are: the price, and its size", async () => {
    const { limiter } = setup();
    await passing(limiter, 3000, (i) => address(1, (i * 40_503) % 65_536));
    expect(await passing(limiter, 20, () => address(2, 0))).toBe(15);
    expect(await passing(limiter, 20, () => "203.0.113.7")).toBe(15);
    expect(await passing(limiter, 20, () => address(1, 0xbeef))).toBe(0);
    // Somebody who only uses up a /56 leaves the rest of the /48 three quarters of what it has.
    const mild = setup().limiter;
    await passing(mild, 1000, (i) => address(1, i % 256));
    expect(await passing(mild, 1000, (i) => address(1, 0x100 + i * 7))).toBe(180);
  });

  it("a refused address leaves nothing behind: 65,536 of them are no way to fill the store", async () => {
    const { limiter, store } = setup();
    await passing(limiter, 5000, (i) => address(1, (i * 40_503) % 65_536));
    expect(store.size).toBeLessThanOrEqual(240 + 240 + 1);
  });

  it("says which network it is that is full", async () => {
    const { limiter } = setup([{ ...minute, limit: 2 }]);
    expect(await limiter.limit({ ip: address(1, 0) })).toMatchObject({ success: true, limit: 2, remaining: 1, rule: "minute" });
    await limiter.limit({ ip: address(1, 0) });
    const own = await limiter.limit({ ip: address(1, 0) });
    expect([own.success, own.limit, own.prefix]).toEqual([false, 2, undefined]);
    await passing(limiter, 6, (i) => address(1, 1 + i));
    expect(await limiter.limit({ ip: address(1, 0x99) })).toMatchObject({
      success: false,
      limit: 8,
      remaining: 0,
      rule: "minute",
      prefix: 56,
    });
    await passing(limiter, 24, (i) => address(1, 0x100 * (1 + (i % 8)) + i));
    const network = await limiter.limit({ ip: address(1, 0xff00) });
    expect(network).toMatchObject({ success: false, limit: 32, remaining: 0, prefix: 48 });
    expect(network.retryAfter).toBeGreaterThan(0);
  });

  it("a combination counts the networks too: an account is not tried from each address of a /48 anew", async () => {
    const rules: LimitRule[] = [
      { name: "login", limit: 5, window: 900, by: ["account", "ip"] },
      { name: "network", limit: 10_000, window: 900, by: "ip-prefix" },
    ];
    const { limiter } = setup(rules);
    expect(await passing(limiter, 500, (i) => address(1, i * 131), { account: "victim" })).toBe(80);
    expect(await passing(limiter, 20, () => address(1, 9), { account: "another" })).toBe(5);
    expect(await passing(limiter, 20, () => address(2, 9), { account: "victim" })).toBe(5);
  });

  it("a function of the application's may count the /64 alone", async () => {
    const { limiter } = setup([{ ...minute, by: (_request, { ip }) => ip }]);
    expect(await passing(limiter, 500, (i) => address(1, i))).toBe(500);
    expect(await passing(limiter, 500, () => address(1, 1))).toBe(14);
  });
});

describe("peek, refund and block of networks", () => {
  it("a peek tells what the network has left, and charges none of them", async () => {
    const { limiter } = setup();
    await passing(limiter, 239, (i) => address(1, i * 256));
    for (let i = 0; i < 9; i++)
      expect(await limiter.peek({ ip: address(1, 0x77) })).toMatchObject({ success: true, remaining: 1, prefix: 48 });
    await limiter.limit({ ip: address(1, 0x77) });
    expect(await limiter.peek({ ip: address(1, 0x78) })).toMatchObject({ success: false, remaining: 0, prefix: 48 });
  });

  it("a refund gives back to all three", async () => {
    const { limiter } = setup([{ ...minute, limit: 1 }]);
    for (let i = 0; i < 50; i++) {
      const result = await limiter.limit({ ip: address(1, 3) });
      expect(result.success).toBe(true);
      expect(await limiter.refund(result)).toBe(true);
    }
    expect(await passing(limiter, 100, (i) => address(1, i))).toBe(4);
  });

  it.each([
    [undefined, [false, true, true, true]],
    [64, [false, true, true, true]],
    [56, [false, false, true, true]],
    [48, [false, false, false, true]],
  ] as const)("a block of /%s refuses so much and no more, and is lifted", async (prefix, expected) => {
    const { limiter } = setup();
    const clients = [address(1, 0x4200), address(1, 0x4299), address(1, 0x9900), address(2, 0x4200)];
    const passes = (): Promise<boolean[]> => Promise.all(clients.map(async (ip) => (await limiter.limit({ ip })).success));
    const block = (until: number): Promise<boolean> => limiter.block({ ip: address(1, 0x4200, 9) }, until, prefix ? { prefix } : undefined);
    expect(await block(NOW + 60_000)).toBe(true);
    expect(await passes()).toEqual(expected);
    expect(await block(NOW)).toBe(true);
    expect(await passes()).toEqual([true, true, true, true]);
  });

  it("an IPv4 address has no networks around it: blocked is the address", async () => {
    const { limiter } = setup();
    expect(await limiter.block({ ip: "203.0.113.7" }, NOW + 60_000, { prefix: 48 })).toBe(true);
    expect(await limiter.limit({ ip: "203.0.113.7" })).toMatchObject({ success: false });
    expect(await limiter.limit({ ip: "203.0.113.8" })).toMatchObject({ success: true });
  });
});

describe("a plan", () => {
  const ip = "20010db800010002";
  const known = {
    ip,
    "ip-prefix": ip.slice(0, 12),
    device: "d",
    user: "u",
    email: "e",
    phone: "1",
    account: "a",
    session: "s",
    player: "p",
    route: "r",
  };

  it("of rules that creation accepts never has more quotas than a spend takes, nor a key twice", () => {
    const names = ["ip", "ip-prefix", "device", "user", "email", "phone", "account", "session", "player", "route"] as const;
    const some = fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 3 });
    const rules = fc
      .array(fc.tuple(some, fc.integer({ min: 1, max: 1e9 }), fc.integer({ min: 1, max: 1e6 })), { maxLength: 18 })
      .map((list) => list.map(([by, limit, window], i): LimitRule => ({ name: `r${i}`, limit, window, by })));
    let accepted = 0;
    fc.assert(
      fc.property(rules, fc.integer({ min: 1, max: 16 }), fc.constantFrom(ip, "203.0.113.7", undefined), (list, room, address) => {
        try {
          validateRules("any", list, room);
        } catch (error) {
          return error instanceof TypeError || (error instanceof RangeError && quotasOf(list) > room);
        }
        accepted += 1;
        const layers = planLimits(list, { ...known, ip: address }, request, "any");
        const keys = new Set(layers.map(({ quota }) => quota.key));
        return layers.length <= room && keys.size === layers.length && layers.every(({ quota }) => Number.isSafeInteger(quota.limit));
      }),
      { numRuns: 3000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it("has all networks of a client, and its prefix, in one partition: one round trip more for none of them", () => {
    const day: LimitRule = { name: "day", limit: 200, window: 86_400, by: "ip" };
    const layers = planLimits([minute, day, { ...day, name: "prefix", by: "ip-prefix" }], known, request, "scores.write");
    expect(layers).toHaveLength(7);
    expect(new Set(layers.map(({ quota }) => partitionOf(quota.key)))).toEqual(new Set(["s20010db80001"]));
    for (const { quota } of layers) expect(quota.key.length).toBeLessThanOrEqual(80);
    expect(layers.map(({ quota, prefix }) => [quota.limit, prefix])).toEqual([
      [15, undefined],
      [60, 56],
      [240, 48],
      [200, undefined],
      [800, 56],
      [3200, 48],
      [200, undefined],
    ]);
  });

  it("gives different networks different keys, on every level", () => {
    const hex = fc.string({ unit: fc.constantFrom("0", "1"), minLength: 16, maxLength: 16 });
    const keysOf = (of: string): string[] =>
      planLimits([minute], { ip: of, "ip-prefix": of.slice(0, 12) }, request).map(({ quota }) => quota.key);
    fc.assert(
      fc.property(hex, hex, (a, b) => {
        const [one, other] = [keysOf(a), keysOf(b)];
        return [16, 14, 12].every((digits, i) => (one[i] === other[i]) === (a.slice(0, digits) === b.slice(0, digits)));
      }),
    );
  });
});
