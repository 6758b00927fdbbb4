/**
 * The store and the board in Redis or Valkey, alone or as a Cluster: exact for all processes that share it. For node-redis, ioredis, `Bun.RedisClient` and deno-redis.
 *
 * @module
 */

import type { ConfigProblem } from "../src/errors.ts";
import type { Store } from "../src/store/contract.ts";
import { usesKey } from "../src/store/keys.ts";
import { type Place, partitioned } from "../src/store/partitioned.ts";
import { assertInteger, assertString } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { createCall } from "./_call.ts";
import { checkedStore } from "./_checked.ts";
import { checkRedis } from "./_redis-check.ts";
import { evaluateOver, type RedisClient, type RedisDriver, redisDriver } from "./_redis-client.ts";
import { confirmedSend } from "./_redis-confirm.ts";
import { STORE_COMMANDS } from "./_redis-permissions.ts";
import { redisKey, scriptedStore } from "./_redis-script.ts";
import { slotOf } from "./_redis-slot.ts";

export { type RedisBoardOptions, redisBoard } from "./_redis-board.ts";
export type { BunRedisClient, DenoRedisClient, IoRedisClient, NodeRedisClient, NodeRedisCluster, RedisClient } from "./_redis-client.ts";

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** Beginning of all keys, 0 to 48 characters without braces, default `gatepass:`. Stores that must not share counters take different ones. */
  prefix?: string;
  /** Milliseconds until a call that has no answer rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /**
   * Replicas that must have what was written before a call resolves, 0..16, default 0. A spend that they do not acknowledge in time rejects,
   * charged or not. Calls then go over connections of their own (`client.duplicate()`), one by one batch at a time; `close` ends them.
   */
  waitReplicas?: number;
  /** Milliseconds that the replicas have, 1..timeoutMs, default half of `timeoutMs`. */
  waitTimeoutMs?: number;
  /** Milliseconds since the epoch, instead of the server's time. All processes that share the store must agree to a minute: keys live one longer then. */
  clock?: () => number;
}

/**
 * A store in Redis 6.2 or later, or Valkey. A spend of any quotas is one script, hence one round trip; time is the server's. The client stays yours:
 * connect it before, listen to its errors, close it after.
 *
 * On a Cluster each partition (what stands before the first `|` of a key) is in one slot. A spend whose keys are in several is several scripts: rates
 * first, side by side, then uses, and what was admitted is given back when one refuses. It never admits too much.
 *
 * Nothing waits longer than `timeoutMs`, whatever the client queues: what it sends when it is too late is not charged any more. A client that sends
 * again what was under way when its connection broke (ioredis does unless `autoResendUnfulfilledCommands` is false) may charge that twice: somebody
 * may lose a use, nobody gains one.
 *
 * Every answer says which call it answers. Where a client's order has slipped (node-redis goes on, on the same connection, after bytes that are no answer),
 * everything rejects until that connection is made anew.
 *
 * What Redis acknowledges it may still lose: at a failover, what had not reached the replica; after a crash, what was not on disk. A token
 * spent within that moment could be spent again. `waitReplicas` narrows the first, `appendfsync always` the second. See `check`.
 *
 * @throws {TypeError} an unknown option, a client that is none of those or cannot be told from another, `waitReplicas` with one that has no `duplicate`
 * @throws {RangeError} an option out of its range
 *
 * @example
 * ```ts
 * import { redisStore } from "gatepass/adapters/redis";
 * // With node-redis: redisStore(await createClient({ url }).on("error", log).connect()). Any other client fits in { send(command, args) }.
 * const answer = [1_750_000_000_000, 0, 1_750_000_060_000];
 * const store = redisStore({ send: async (command, args) => [Number(args.at(-1)), ...answer] });
 * const { ok } = await store.spend([{ key: "token-1", limit: 1, expiresAt: 1_750_000_060_000 }]);
 * console.assert(ok);
 * ```
 */
export function redisStore(
  client: RedisClient,
  options: RedisStoreOptions = {},
): Store & { check(): Promise<ConfigProblem[]>; close(): Promise<void> } {
  const rules: Rules<RedisStoreOptions> = {
    prefix: "string",
    timeoutMs: integer(1, 60_000),
    waitReplicas: integer(0, 16),
    waitTimeoutMs: integer(1, 60_000),
    clock: "function",
  };
  assertOptions("redisStore", options, rules);
  const { prefix = "gatepass:", timeoutMs = 2000, waitReplicas = 0, clock } = options;
  const { waitTimeoutMs = Math.ceil(timeoutMs / 2) } = options;
  assertString("prefix", prefix, 0, 48);
  // A brace would put the keys of one partition elsewhere, or all of them in one place.
  if (/[{}]/.test(prefix)) throw new RangeError('Invalid "prefix": expected no braces');
  const call = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);
  assertInteger("waitTimeoutMs", waitTimeoutMs, 1, timeoutMs);
  const driver = redisDriver(client);
  const confirmed =
    waitReplicas > 0 ? confirmedSend(duplicateOf(driver), { replicas: waitReplicas, waitMs: waitTimeoutMs, timeoutMs }) : undefined;
  const scripted = scriptedStore(evaluateOver(confirmed?.send ?? driver.send), { prefix, clock, timeoutMs });
  const slot = (partition: string): number => slotOf(redisKey(prefix, partition));
  const place: Place = driver.cluster ? partitioned({ placeOf: slot, at: () => scripted, timeoutMs }) : scripted;

  return {
    ...checkedStore(place, call),
    async check() {
      const key = redisKey(prefix, usesKey("check", randomId()));
      const use = { key, prefix, commands: STORE_COMMANDS, consequence: "every spend fails" };
      return call(() => checkRedis(driver, use, waitReplicas));
    },
    async close() {
      confirmed?.close();
    },
  };
}

function duplicateOf({ duplicate }: RedisDriver): NonNullable<RedisDriver["duplicate"]> {
  if (duplicate === undefined) throw new TypeError('Invalid "waitReplicas": the client has no "duplicate" for a connection of its own');
  return duplicate;
}
