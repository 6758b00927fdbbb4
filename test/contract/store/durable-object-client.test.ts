import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import {
  type DurableObjectStoreOptions,
  durableObjectStore,
  gatepassObject,
  type ObjectNamespace,
} from "../../../adapters/durable-object.ts";
import type { Quota, SpendResult } from "../../../src/store/contract.ts";

const once: Quota = { key: "once", limit: 1, expiresAt: 2_000_000_000_000 };
const rate: Quota = { key: "rate", limit: 3, window: 60 };
const state = { remaining: 0, resetAt: 2_000_000_000_000 };
const admitted: SpendResult = { ok: true, at: 1, refused: null, retryAfter: 0, states: [state] };
const refused: SpendResult = { ok: false, at: 1, refused: 0, retryAfter: 0, states: [{ ...state, why: "full" }] };

/** A namespace whose objects answer by `answer`; it tells whom it was asked for. */
function namespaceOf(answer: (name: string, call: string, body: string) => Promise<Response>, names: string[] = []): ObjectNamespace {
  return {
    idFromName: (name) => ({ name }),
    get(id) {
      const name = typeof id === "object" && id !== null && "name" in id ? String(id.name) : "";
      names.push(name);
      return { fetch: (url, { body }) => answer(name, new URL(url).pathname, body) };
    },
  };
}

describe("what durableObjectStore makes of its objects' answers", () => {
  const contradictions: Record<string, unknown> = {
    "no JSON": "ok",
    "an error page": "<!doctype html>",
    nothing: "",
    null: null,
    "ok alone": { ok: true },
    "ok as text": { ...admitted, ok: "true" },
    "a list": [admitted],
    "no states": { ...admitted, states: [] },
    "states of another spend": { ...admitted, states: [state, state] },
    "states that are none": { ...admitted, states: [null] },
    "units that are none": { ...admitted, states: [{ ...state, remaining: -1 }] },
    "an instant that is none": { ...admitted, states: [{ ...state, resetAt: "never" }] },
    "ok and a reason against it": { ...admitted, states: [{ ...state, why: "full" }] },
    "ok and refused": { ...admitted, refused: 0 },
    "ok and a wait": { ...admitted, retryAfter: 5 },
    "no clock": { ...admitted, at: null },
    "refused by nobody": { ...refused, refused: null },
    "refused by a stranger": { ...refused, refused: 1 },
    "refused for no reason": { ...refused, states: [state] },
    "a reason that nobody knows": { ...refused, states: [{ ...state, why: "mood" }] },
    "a wait below nothing": { ...refused, retryAfter: -1 },
  };
  it.each(Object.entries(contradictions))("%s is unavailable", async (_, said) => {
    const store = durableObjectStore(namespaceOf(async () => new Response(typeof said === "string" ? said : JSON.stringify(said))));
    await expect(store.spend([once])).rejects.toMatchObject({ name: "GatepassError", code: "ERR_STORE_UNAVAILABLE" });
  });

  it("a whole result is one, whatever else is in it", async () => {
    for (const said of [admitted, refused]) {
      const store = durableObjectStore(namespaceOf(async () => Response.json({ ...said, more: 1 })));
      expect(await store.spend([once])).toEqual(said);
    }
    // A read tells why it would be refused, and is admitted.
    const read = { ...admitted, states: [{ ...state, why: "full" }] };
    expect(await durableObjectStore(namespaceOf(async () => Response.json(read))).spend([{ ...once, cost: 0 }])).toEqual(read);
  });

  it("any status but 200 is unavailable, and so is a refund or a block that nobody confirms", async () => {
    for (const status of [201, 404, 500, 503]) {
      const store = durableObjectStore(namespaceOf(async () => Response.json(admitted, { status })));
      await expect(store.spend([once])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    }
    for (const said of [null, {}, { done: "spend" }, { done: true }, admitted]) {
      const store = durableObjectStore(namespaceOf(async () => Response.json(said)));
      await expect(store.refund([once], 1)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
      await expect(store.block("k", 1)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
    }
  });

  it("whatever the runtime throws is the cause of one typed error: down, overloaded, a binding that is none", async () => {
    const overloaded = Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), {
      overloaded: true,
      remote: false,
    });
    const broken: ObjectNamespace[] = [
      namespaceOf(() => Promise.reject(overloaded)),
      namespaceOf(() => {
        throw overloaded;
      }),
      {
        idFromName() {
          throw overloaded;
        },
        get: () => ({ fetch: async () => Response.json(admitted) }),
      },
    ];
    for (const namespace of broken) {
      await expect(durableObjectStore(namespace).spend([once])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", cause: overloaded });
      const sharded = durableObjectStore(namespace, { shards: 4 });
      await expect(sharded.spend([once, rate])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE", cause: overloaded });
    }
    // What a Worker has whose configuration lacks the binding.
    const missing = Reflect.get({}, "GATE");
    await expect(durableObjectStore(missing).spend([once])).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
  });

  it("an object that never answers is unavailable in time, and asked no more", async () => {
    let signal: AbortSignal | undefined;
    const namespace: ObjectNamespace = {
      idFromName: (name) => name,
      get: () => ({
        fetch(_, init) {
          signal = init.signal;
          return new Promise(() => undefined);
        },
      }),
    };
    for (const shards of [1, 4]) {
      const start = performance.now();
      await expect(durableObjectStore(namespace, { shards, timeoutMs: 60 }).spend([once, rate])).rejects.toMatchObject({
        code: "ERR_STORE_UNAVAILABLE",
      });
      expect(performance.now() - start).toBeLessThan(2000);
      await new Promise((resolve) => setTimeout(resolve, 40));
      expect(signal?.aborted).toBe(true);
    }
  });

  it("a caller's mistake is a RangeError, and no object hears of it", async () => {
    const names: string[] = [];
    const store = durableObjectStore(
      namespaceOf(async () => Response.json(admitted), names),
      { shards: 4 },
    );
    for (const bad of [[{ ...once, limit: 0 }], [once, once], [{ ...rate, window: Number.NaN }]]) {
      await expect(store.spend(bad)).rejects.toBeInstanceOf(RangeError);
      await expect(store.refund(bad, 1)).rejects.toBeInstanceOf(RangeError);
    }
    await expect(store.block("k", Number.NaN)).rejects.toBeInstanceOf(RangeError);
    expect(names).toEqual([]);
  });

  it("options out of their range are refused at creation", () => {
    const namespace = namespaceOf(async () => Response.json(admitted));
    for (const options of [
      { shards: 0 },
      { shards: 1025 },
      { shards: 1.5 },
      { prefix: "" },
      { prefix: "x".repeat(65) },
      { timeoutMs: 0 },
      { timeoutMs: 60_001 },
    ]) {
      expect(() => durableObjectStore(namespace, options)).toThrow(RangeError);
    }
    const misspelt: DurableObjectStoreOptions = JSON.parse('{"shard":4}');
    expect(() => durableObjectStore(namespace, misspelt)).toThrow('unknown member "shard"');
  });
});

describe("shards", () => {
  it("keys of one partition go to one object by one request; partitions spread over all", async () => {
    const counts = new Map<string, number>();
    const names: string[] = [];
    const namespace = namespaceOf(async (name, _, body) => {
      const { quotas }: { quotas: Quota[] } = JSON.parse(body);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return Response.json({ ...admitted, states: quotas.map(() => state) });
    }, names);
    const store = durableObjectStore(namespace, { shards: 16, prefix: "mine" });
    await store.spend([
      { ...rate, key: "s203.0.113.9|rsa:60" },
      { ...rate, key: "s203.0.113.9|rsb:60" },
      { ...once, key: "s203.0.113.9" },
    ]);
    expect(names.length).toBe(1);
    counts.clear();
    for (let i = 0; i < 16_000; i++) await store.spend([{ ...rate, key: `s10.0.${i >> 8}.${i & 255}|rsa:60` }]);
    expect([...counts.keys()].sort()).toEqual(Array.from({ length: 16 }, (_, i) => `mine-${i}`).sort());
    // Of 1000 each; five standard deviations.
    expect([...counts.values()].filter((n) => n < 850 || n > 1150)).toEqual([]);
  });

  it("the place of a key is for ever: another one would forget what was spent", async () => {
    const names: string[] = [];
    const store = durableObjectStore(
      namespaceOf(async () => Response.json(admitted), names),
      { shards: 16 },
    );
    for (const key of ["ujti:skQ3vY8", "s203.0.113.9|rsburst:60", "é", ""].filter(Boolean)) await store.spend([{ ...once, key }]);
    expect(names).toMatchInlineSnapshot(`
      [
        "gatepass-9",
        "gatepass-0",
        "gatepass-6",
      ]
    `);
  });

  it("the hint of a location is passed on, and only where there is one", () => {
    const given: unknown[] = [];
    const namespace: ObjectNamespace = {
      idFromName: (name) => name,
      get(_, options) {
        given.push(options);
        return { fetch: async () => Response.json(admitted) };
      },
    };
    durableObjectStore(namespace).spend([once]);
    durableObjectStore(namespace, { locationHint: "weur" }).spend([once]);
    expect(given).toEqual([undefined, { locationHint: "weur" }]);
  });
});

describe("gatepassObject outside workerd", () => {
  it("refuses a base that has an alarm, and options that it does not know", () => {
    class Busy {
      async alarm(): Promise<void> {
        await undefined;
      }
    }
    expect(() => gatepassObject(Busy)).toThrow(TypeError);
    expect(() => gatepassObject(Object, JSON.parse('{"clok":1}'))).toThrow('unknown member "clok"');
  });

  const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const bin = (name: string): string => here(`../../../node_modules/.bin/${name}`);
  it.each([
    ["Node", process.execPath, ["--no-warnings"]],
    ["Bun", bin("bun"), []],
    ["Deno", bin("deno"), ["run", "--no-check", "--no-lock", "--quiet"]],
  ] as const)("loads in %s, where a stranger is answered 404", { timeout: 240_000 }, async (_, file, args) => {
    const { stdout } = await promisify(execFile)(file, [...args, here("durable-object/anywhere.ts")]);
    expect(JSON.parse(stdout)).toEqual({ status: 404, ok: true });
  });
});
