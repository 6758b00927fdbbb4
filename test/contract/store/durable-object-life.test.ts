import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Store, UsesQuota } from "../../../src/store/contract.ts";
import { remoteStore } from "../../helpers/remote-store.ts";
import { startWorkerd, type Workerd, type WorkerdOptions } from "../../helpers/workerd.ts";

const OPTIONS: WorkerdOptions = {
  entry: "test/contract/store/durable-object/worker.ts",
  durableObjects: { VIRTUAL: "Virtual", REAL: "Real", PLAIN: "Plain", STRANGER: "Stranger" },
};
let workerd: Workerd;
let made = 0;

beforeAll(async () => {
  workerd = await startWorkerd(OPTIONS);
});
afterAll(() => workerd.dispose());

/** What an object holds, as it says itself. */
interface Look {
  keys: string[];
  tables: string[];
  alarm: number | null;
  /** Of its database. */
  bytes: number;
}

/** A store over objects of its own, and what is behind it. */
function open(
  name = "REAL",
  in_ = workerd,
): { store: Store & { sweep(): Promise<number> }; inside(path: string): Promise<unknown>; look(): Promise<Look>; query: string } {
  made += 1;
  const query = `class=${name}&prefix=life${made}`;
  const inside = async (path: string): Promise<unknown> => {
    const [answer] = JSON.parse(await (await in_.fetch(`/inside/${path}${path.includes("?") ? "&" : "?"}${query}`)).text());
    return answer;
  };
  const look = async (): Promise<Look> => {
    const { keys, tables, alarm, bytes }: Look = JSON.parse(JSON.stringify(await inside("look")));
    return { keys: keys.sort(), tables, alarm, bytes };
  };
  return { store: remoteStore(in_.send(`/?${query}`)).store, inside, look, query };
}

const uses = (key: string, limit: number, ms: number): UsesQuota => ({ key, limit, expiresAt: Date.now() + ms });
/** What an object says that was never asked before: one page of a database. */
const NOTHING: Look = { keys: [], tables: [], alarm: null, bytes: 4096 };

/** Waits for what time alone brings. */
async function until(met: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  while (!(await met()) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 100));
}

describe("what an object of the store leaves behind", () => {
  it("guarantee 5: its alarm takes away the last key, the table and itself", async () => {
    const [tokens, rates] = [open(), open()];
    const expiresAt = Date.now() + 2500;
    await tokens.store.spend([{ key: "u", limit: 2, expiresAt }]);
    await tokens.store.block("b", expiresAt);
    await rates.store.spend([{ key: "r", limit: 2, window: 1 }]);
    const { keys, alarm } = await tokens.look();
    expect([keys, alarm !== null && alarm >= expiresAt, alarm !== null && alarm <= expiresAt + 5000]).toEqual([["b", "u"], true, true]);
    for (const { store, look } of [tokens, rates]) {
      await until(async () => (await look()).bytes === NOTHING.bytes);
      expect(await look()).toEqual(NOTHING);
      expect((await store.spend([uses("u", 2, 60_000)])).states[0]?.remaining).toBe(1);
    }
  });

  it("what only reads, is refused, lifts or gives back leaves nothing, not even a table", async () => {
    const { store, look } = open();
    await store.spend([
      { ...uses("u", 1, 60_000), cost: 0 },
      { key: "r", limit: 1, cost: 0, window: 60 },
    ]);
    await store.spend([uses("late", 1, -1), { key: "r", limit: 1, window: 60 }]);
    await store.refund([uses("u", 1, 60_000)], Date.now());
    await store.block("b", Date.now() - 1);
    expect(await look()).toEqual(NOTHING);
  });

  it("setting the alarm is a write: a later death leaves it, an earlier one moves it, a refund of everything keeps it until it finds nothing", async () => {
    const { store, look } = open();
    const first = uses("first", 1, 60_000);
    const { at } = await store.spend([first]);
    const set = (await look()).alarm ?? 0;
    expect([set > first.expiresAt, set < first.expiresAt + 5000]).toEqual([true, true]);
    await store.spend([uses("second", 1, 120_000), { key: "r", limit: 1, window: 600 }]);
    expect((await look()).alarm).toBe(set);
    await store.spend([uses("third", 1, 30_000)]);
    const nearer = (await look()).alarm ?? 0;
    expect(nearer).toBeLessThan(set - 20_000);
    await store.refund([first], at);
    expect((await look()).keys).toEqual(["r", "second", "third"]);
  });

  it("a block until the end of time is no instant for a timer", async () => {
    const { store, look } = open();
    for (const expiresAt of [Number.MAX_SAFE_INTEGER, 8_640_000_000_000_001, 253_402_300_800_000])
      await store.block(`b${expiresAt}`, expiresAt);
    const { alarm } = await look();
    expect(alarm !== null && alarm < Date.now() + 31 * 86_400_000).toBe(true);
    expect((await store.spend([uses(`b${Number.MAX_SAFE_INTEGER}`, 1, 60_000)])).states[0]?.why).toBe("blocked");
  });

  it("a sweep of many rows goes in steps between which others are served; the next one waits for a minute", async () => {
    const { store, inside, look } = open();
    await store.spend([uses("k", 5, 60_000)]);
    await inside("fill?rows=25000");
    const begin = Date.now();
    const [, ...spent] = await Promise.all([
      store.sweep(),
      ...Array.from({ length: 20 }, (_, i) => store.spend([uses(`k${i}`, 1, 90_000)])),
    ]);
    expect(spent.every(({ ok }) => ok)).toBe(true);
    const { keys, alarm } = await look();
    expect(keys.filter((key) => /^k\d{5}$/.test(key)).length).toBe(12_500);
    expect(keys.length).toBe(12_521);
    await store.spend([uses("soon", 1, 1000)]);
    expect([alarm !== null && alarm >= begin + 60_000, (await look()).alarm === alarm]).toEqual([true, true]);
  });

  it("whoever spends while an object empties itself is not forgotten, and swept later", async () => {
    const { store, look } = open();
    for (let i = 0; i < 60; i++) {
      const once = uses(`k${i}`, 1, 60_000);
      const [, spent] = await Promise.all(
        i % 2 ? [store.sweep(), store.spend([once])] : [store.sweep(), store.spend([once]), store.sweep()],
      );
      const { keys, alarm } = await look();
      expect([spent.ok, keys, alarm === null]).toEqual([true, [`k${i}`], false]);
      expect((await store.spend([once])).ok).toBe(false);
      await store.refund([once], spent.at);
    }
  });

  it("what a subclass keeps in its objects stays", async () => {
    const { store, inside, look } = open("VIRTUAL");
    await inside("put");
    const { at } = await store.spend([]);
    const once = { key: "u", limit: 1, expiresAt: at + 1000 };
    const spent = await store.spend([once]);
    await store.refund([once], spent.at);
    await store.sweep();
    expect([(await look()).tables, await inside("get")]).toEqual([[], 1]);
  });
});

describe("an object that is ended", () => {
  it("counts on where it was, for callers who do nothing special; whoever was refused by the fall is told so", async () => {
    const { store, inside } = open();
    const quota = uses("k", 100, 60_000);
    let admitted = 0;
    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 40 }, () => store.spend([quota]));
      const killed = inside("abort");
      const all = await Promise.allSettled(calls);
      expect(await killed).toContain("Ended by the test");
      for (const one of all) {
        if (one.status === "fulfilled") admitted += one.value.ok ? 1 : 0;
        else expect(one.reason).toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      }
    }
    const { states } = await store.spend([{ ...quota, cost: 0 }]);
    // Nothing that was answered is forgotten; what fell may have been charged.
    expect([admitted <= 100, 100 - (states[0]?.remaining ?? 0) >= admitted]).toEqual([true, true]);
    let more = 0;
    while (more <= 100 && (await store.spend([quota])).ok) more += 1;
    expect(more).toBe(states[0]?.remaining);
  });

  it("workerd killed: counters, blocks and alarms are on the disk", async () => {
    const { store, look } = open();
    const quota = uses("k", 2, 60_000);
    await store.spend([quota, uses("short", 1, 4000), { key: "r", limit: 1, window: 60 }]);
    await store.block("b", Date.now() + 60_000);
    const { alarm } = await look();
    await workerd.restart();
    expect((await look()).alarm).toBe(alarm);
    expect((await store.spend([{ key: "r", limit: 1, window: 60 }])).ok).toBe(false);
    expect((await store.spend([uses("b", 1, 60_000)])).states[0]?.why).toBe("blocked");
    expect([(await store.spend([quota])).ok, (await store.spend([quota])).ok]).toEqual([true, false]);
    await until(async () => !(await look()).keys.includes("short"));
    expect((await look()).keys).toEqual(["b", "k", "r"]);
  });
});

it("guarantee 2: a write that fails in the middle takes the others with it", async () => {
  const { store, inside, look } = open();
  await store.spend([uses("first", 5, 60_000)]);
  await inside("fail");
  const batch = [uses("first", 5, 60_000), uses("new", 1, 60_000), uses("last", 1, 60_000)];
  await expect(store.spend(batch)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  expect((await look()).keys).toEqual(["first"]);
  expect((await store.spend(batch.slice(0, 2))).states.map(({ remaining }) => remaining)).toEqual([3, 0]);
});

describe("who may ask an object", () => {
  it("a visitor's request that a Worker hands on reaches nothing", async () => {
    const { store, query } = open();
    const once = uses("k", 1, 60_000);
    await store.spend([once]);
    const body = JSON.stringify({ quotas: [once], at: Date.now(), key: "k", expiresAt: Date.now() + 60_000 });
    const forward = (target: string, method = "POST"): Promise<{ status: number; text(): Promise<string> }> =>
      workerd.fetch(`/forward?${query}`, { method, headers: { "x-target": target }, ...(method === "POST" && { body }) });
    for (const host of ["game.example", "gatepass.invalid.example", "gatepass.invalid:8443", "xgatepass.invalid"]) {
      for (const path of ["/v1/spend", "/v1/refund", "/v1/block", "/"]) {
        const answer = await forward(`https://${host}${path}`);
        expect([host, answer.status, await answer.text()]).toEqual([host, 404, ""]);
      }
    }
    for (const target of ["http://gatepass.invalid/v1/refund", "https://gatepass.invalid/v1/refund?", "https://gatepass.invalid/v1/drop"]) {
      expect([target, (await forward(target)).status]).toEqual([target, 404]);
    }
    expect((await forward("https://gatepass.invalid/v1/spend", "GET")).status).toBe(404);
    expect((await store.spend([once])).states[0]?.why).toBe("full");
    // The test itself: with the very address it would have been a refund.
    expect((await forward("https://gatepass.invalid/v1/refund")).status).toBe(200);
    expect((await store.spend([once])).ok).toBe(true);
  });

  it("a binding to a class that is no store's is unavailable, whatever the class says", async () => {
    const { store } = open("STRANGER");
    const once = uses("k", 1, 60_000);
    for (const body of ["ok", "null", "{}", '{"ok":true}', '{"done":true}', "<!doctype html>"]) {
      await workerd.fetch("/garbage?class=STRANGER", { method: "POST", body });
      const calls = await Promise.allSettled([store.spend([once]), store.refund([once], 1), store.block("k", Date.now() + 1000)]);
      const unavailable = { status: "rejected", reason: { code: "ERR_STORE_UNAVAILABLE" } };
      expect(calls).toMatchObject([unavailable, unavailable, unavailable]);
    }
  });
});

describe.each(["2021-11-03", "2026-04-01"])("compatibility date %s", (compatibilityDate) => {
  it("a class with DurableObject and a plain one count, and empty themselves", async () => {
    const other = await startWorkerd({ ...OPTIONS, compatibilityDate });
    try {
      for (const name of ["PLAIN", "REAL"]) {
        const { store } = open(name, other);
        const once = uses("k", 1, 60_000);
        expect([(await store.spend([once])).ok, (await store.spend([once])).ok]).toEqual([true, false]);
        await store.block("b", Date.now() + 60_000);
        expect((await store.spend([uses("b", 1, 60_000)])).states[0]?.why).toBe("blocked");
      }
      const { store, look } = open("REAL", other);
      await store.spend([uses("k", 1, 1500)]);
      await until(async () => (await look()).bytes === NOTHING.bytes);
      expect(await look()).toEqual(NOTHING);
    } finally {
      await other.dispose();
    }
  });
});
