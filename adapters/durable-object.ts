/**
 * The store in Durable Objects: exact for all Workers that share a namespace, spread over as many objects as the load
 * needs.
 *
 * ```ts ignore
 * // wrangler.jsonc: "durable_objects": { "bindings": [{ "name": "GATE", "class_name": "Gate" }] },
 * //                 "migrations": [{ "tag": "gate", "new_sqlite_classes": ["Gate"] }]
 * import { DurableObject } from "cloudflare:workers";
 * export class Gate extends gatepassObject(DurableObject) {}
 * export default createGate((env) => ({ store: durableObjectStore(env.GATE), ... }));
 * ```
 *
 * @module
 */

import type { ConfigProblem } from "../src/errors.ts";
import type { Store } from "../src/store/contract.ts";
import { usesKey } from "../src/store/keys.ts";
import { type Place, partitioned } from "../src/store/partitioned.ts";
import { assertString } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";
import { assertOptions, integer, methods, oneOf, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { readSpendResult } from "./_answer.ts";
import { createCall } from "./_call.ts";
import { checkedStore } from "./_checked.ts";
import { NO_SQLITE, type ObjectCall, ORIGIN } from "./_durable-object.ts";
import { shardOf } from "./_shard.ts";

export { type GatepassObject, type GatepassObjectOptions, gatepassObject, type ObjectState } from "./_durable-object.ts";

/**
 * The part of a namespace's binding that is used (Cloudflare's `DurableObjectNamespace`, of any class, with or without
 * a jurisdiction).
 */
export interface ObjectNamespace {
  idFromName(name: string): unknown;
  get(id: unknown, options?: { locationHint?: LocationHint }): ObjectStub;
}

/** The part of a stub that is used. */
export interface ObjectStub {
  fetch(url: string, init: { method: string; body: string; signal: AbortSignal }): Promise<{ status: number; text(): Promise<string> }>;
}

/** One of Cloudflare's regions, as a hint where to create an object. */
export type LocationHint = "wnam" | "enam" | "sam" | "weur" | "eeur" | "apac" | "oc" | "afr" | "me";

/** Options of {@link durableObjectStore}. */
export interface DurableObjectStoreOptions {
  /** Objects that share the work, 1..1024, default 1. See {@link durableObjectStore} before you change it. */
  shards?: number;
  /**
   * Beginning of the objects' names, 1..64 characters, default `gatepass`. Stores that must not share counters take
   * different ones.
   */
  prefix?: string;
  /** Milliseconds until a call that has no answer rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Where new objects are created. Default: near the first request to each. */
  locationHint?: LocationHint;
}

/**
 * A store in the objects of `namespace`, whose class comes from {@link gatepassObject}. It uses the objects' clock.
 *
 * One object serves about 1,000 requests a second. With one shard a spend is one request. With more `shards`, a hash of
 * its partition (the part of a key before the first `|`) decides in which object a quota is. A spend is then one
 * request to each object that it needs, billed as such: first the rates, then the uses. Use as many shards as the load
 * needs, and no more.
 *
 * **Changing `shards` moves keys to other objects, and their counters stay behind.** A spent token can be spent once
 * more until it expires, windows start at zero, and blocks are lost. While old and new versions of a Worker run at the
 * same time, each counts by itself. So change the signing secret at the same time, without the old one in the ring:
 * then all older tokens are invalid, and players get a new session without noticing. Set lasting blocks again. The old
 * objects empty themselves. The same applies to `prefix`.
 *
 * If an object is down, restarts, is overloaded, does not answer in time or gives an invalid answer, the call rejects
 * with `ERR_STORE_UNAVAILABLE`. The call may have been charged.
 *
 * @throws {TypeError} an unknown option @throws {RangeError} an option out of its range
 *
 * @example
 * ```ts
 * import { durableObjectStore } from "gatepass/adapters/durable-object";
 * // In a Worker: durableObjectStore(env.GATE).
 * const empty = { ok: true, at: 1, refused: null, retryAfter: 0, states: [] };
 * const namespace = { idFromName: (name: string) => name, get: () => ({ fetch: async () => Response.json(empty) }) };
 * console.assert((await durableObjectStore(namespace).spend([])).ok);
 * ```
 */
export function durableObjectStore(
  namespace: ObjectNamespace,
  options: DurableObjectStoreOptions = {},
): Store & { check(): Promise<ConfigProblem[]> } {
  // Undefined where a Worker's configuration lacks the binding. Then every call rejects as unavailable, and the error's
  // cause tells why.
  if (namespace !== undefined) methods("idFromName", "get")("namespace", namespace);
  const rules: Rules<DurableObjectStoreOptions> = {
    shards: integer(1, 1024),
    prefix: "string",
    timeoutMs: integer(1, 60_000),
    locationHint: oneOf("wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"),
  };
  assertOptions("durableObjectStore", options, rules);
  const { shards = 1, prefix = "gatepass", timeoutMs = 2000, locationHint } = options;
  assertString("prefix", prefix, 1, 64);
  const run = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);
  const where = locationHint === undefined ? undefined : { locationHint };

  /**
   * One request to one object. Each gets a new stub: a stub belongs to the request that created it, and stays broken
   * once its object restarts.
   */
  async function ask(shard: number, call: ObjectCall, body: object): Promise<unknown> {
    const stub = namespace.get(namespace.idFromName(`${prefix}-${shard}`), where);
    // The signal withdraws a request that still waits for the object after `timeoutMs`. Otherwise it would be charged
    // later, for nobody.
    const response = await stub.fetch(ORIGIN + call, {
      method: "POST",
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await response.text();
    if (response.status === NO_SQLITE) throw new Error(NEEDS_SQLITE.message);
    if (response.status !== 200) throw new Error(`The object answered ${response.status}`);
    return JSON.parse(text);
  }

  async function tell(shard: number, call: ObjectCall, body: object): Promise<void> {
    const answer = await ask(shard, call, body);
    if (!isJsonObject(answer) || answer["done"] !== call) throw new Error("The object did not say that it is done");
  }

  const object = (shard: number): Place => ({
    spend: async (quotas) =>
      readSpendResult(
        await ask(shard, "spend", { quotas }),
        quotas.map(({ cost = 1 }) => cost),
      ),
    refund: (quotas, at) => tell(shard, "refund", { quotas, at }),
    block: (key, expiresAt) => tell(shard, "block", { key, expiresAt }),
  });
  const all = shards === 1 ? object(0) : partitioned({ placeOf: (partition) => shardOf(partition, shards), at: object, timeoutMs });

  return {
    ...checkedStore(all, run),
    async check() {
      const quotas = [{ key: usesKey("check", randomId()), limit: 1, cost: 0, expiresAt: Date.now() + 60_000 }];
      const found = await ask(0, "spend", { quotas }).catch((error: unknown) => error);
      return found instanceof Error && found.message === NEEDS_SQLITE.message ? [NEEDS_SQLITE] : [];
    },
  };
}

/** The problem of a class that was created for key-value storage: it has no SQL, and cannot get it later. */
const NEEDS_SQLITE: ConfigProblem = {
  code: "GP161",
  severity: "error",
  message: "The class of the Durable Object has no SQLite: every spend fails",
  fix: 'Name a new class under "new_sqlite_classes" of "migrations" in the Worker\'s configuration; one that was made under "new_classes" stays without',
};
