/**
 * The store and the board in Redis or Valkey, alone or as a Cluster: exact for all processes that share it. For
 * node-redis, ioredis, `Bun.RedisClient` and deno-redis.
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

export { type RedisBoard, type RedisBoardOptions, redisBoard } from "./_redis-board.ts";
export { type MigrateOptions, migrate } from "./_redis-board-migrate.ts";
export type { BunRedisClient, DenoRedisClient, IoRedisClient, NodeRedisClient, NodeRedisCluster, RedisClient } from "./_redis-client.ts";

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /**
   * Beginning of all keys, 0 to 48 characters without braces, default `gatepass:`. Stores that must not share counters
   * take different ones.
   */
  prefix?: string;
  /** Milliseconds until a call that has no answer rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /**
   * How many replicas must have a write before its call resolves, 0..16, default 0. If they do not acknowledge it in
   * time, the call rejects, whether it was charged or not. Calls then use connections of the store's own
   * (`client.duplicate()`), one batch at a time; `close` ends them.
   */
  waitReplicas?: number;
  /** Milliseconds for the replicas to acknowledge, 1..timeoutMs, default half of `timeoutMs`. */
  waitTimeoutMs?: number;
  /**
   * Milliseconds since the epoch, instead of the server's time. The clocks of all processes must agree to a minute;
   * keys then live a minute longer.
   */
  clock?: () => number;
}

/**
 * A store in Redis 6.2 or later, or Valkey. A spend is one script and one round trip; it uses the server's clock. You
 * connect the client, listen to its errors and close it yourself.
 *
 * On a Cluster each partition (the part of a key before the first `|`) is in one slot. A spend over several slots is
 * several scripts: first the rates, in parallel, then the uses. When one refuses, the charges of the others are given
 * back. It never admits too much.
 *
 * A call ends within `timeoutMs`, however long the client queues commands. A command that reaches the server too late
 * is not charged. A client that sends commands again after its connection broke (ioredis does, unless
 * `autoResendUnfulfilledCommands` is false) may charge twice: a visitor may lose a use, and never gains one.
 *
 * Every answer names its call. If a client assigns answers to the wrong calls (node-redis may, after invalid bytes on
 * the connection), all calls reject until the connection is replaced.
 *
 * Redis may lose what it acknowledged: at a failover, writes that had not reached the replica; after a crash, writes
 * that were not on disk. A token that was spent in that moment could be spent again. `waitReplicas` reduces the first,
 * `appendfsync always` the second. See `check`.
 *
 * @throws {TypeError} an unknown option; a client that is not supported or cannot be told apart; `waitReplicas` with a
 * client that has no `duplicate`
 * @throws {RangeError} an option out of its range
 *
 * @example
 * ```ts
 * import { redisStore } from "gatepass/adapters/redis";
 * // With node-redis: redisStore(await createClient({ url }).on("error", log).connect()).
 * // Any other client fits in { send(command, args) }.
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
  // A brace in the prefix would change the hash tag: one partition's keys would be in several slots, or all keys in
  // one.
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
