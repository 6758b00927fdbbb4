/**
 * The store in an Upstash Redis, over its REST API: exact, without a connection to keep, on any platform that has
 * `fetch`.
 *
 * @module
 */

import type { ConfigProblem } from "../src/errors.ts";
import type { Store } from "../src/store/contract.ts";
import { usesKey } from "../src/store/keys.ts";
import { assertString } from "../src/util/assertions.ts";
import { assertOptions, integer, type Rules } from "../src/util/options.ts";
import { randomId } from "../src/util/random.ts";
import { createCall } from "./_call.ts";
import { checkedStore } from "./_checked.ts";
import { checkPermissions, STORE_COMMANDS } from "./_redis-permissions.ts";
import { createEvaluate, redisKey, scriptedStore } from "./_redis-script.ts";
import { quietClient, restClient, type UpstashClient, type UpstashRest } from "./_upstash.ts";

export type { UpstashClient, UpstashRest } from "./_upstash.ts";

/** Options of {@link upstashStore}. */
export interface UpstashStoreOptions {
  /**
   * Beginning of all keys, 0 to 48 characters without braces, default `gatepass:`. Stores that must not share counters
   * take different ones.
   */
  prefix?: string;
  /** Milliseconds until a call that has no answer rejects, 1..60000, default 2000. */
  timeoutMs?: number;
  /** Milliseconds since the epoch, instead of the server's time: for tests. */
  clock?: () => number;
}

/**
 * A store in an Upstash Redis: every spend is one script in one request. It takes a client of `@upstash/redis`, or a
 * URL and a token, which only need `fetch`. With a URL and a token, redirects are refused, the size of an answer is
 * limited, and a call is aborted in time.
 *
 * A client of `@upstash/redis` follows its own settings. It follows redirects, reads answers of any size, goes on after
 * our call has ended, and repeats a request that broke off up to five times. A spend that had reached the database is
 * then charged twice: a visitor may lose a use, and never gains one. Create the client with `{ retry: false, signal: ()
 * => AbortSignal.timeout(2000) }`.
 *
 * Switch "Eviction" off in the console: an evicted token could be spent again, and no request can tell whether eviction
 * is on. A read-only token cannot spend; `check` reports it.
 *
 * @throws {TypeError} an unknown option, a client or address that is none
 * @throws {RangeError} an invalid `prefix` or `timeoutMs`
 *
 * @example
 * ```ts
 * import { upstashStore } from "gatepass/adapters/upstash";
 * const store = upstashStore({ url: "https://example.upstash.io", token: "the-rest-token" });
 * console.assert(store.consistency === "exact");
 * ```
 */
export function upstashStore(
  client: UpstashClient | UpstashRest,
  options: UpstashStoreOptions = {},
): Store & { check(): Promise<ConfigProblem[]> } {
  const rules: Rules<UpstashStoreOptions> = { prefix: "string", timeoutMs: integer(1, 60_000), clock: "function" };
  assertOptions("upstashStore", options, rules);
  const { prefix = "gatepass:", timeoutMs = 2000, clock } = options;
  assertString("prefix", prefix, 0, 48);
  // A brace in the prefix would change the hash tag of the keys.
  if (/[{}]/.test(prefix)) throw new RangeError('Invalid "prefix": expected no braces');
  const call = createCall("ERR_STORE_UNAVAILABLE", timeoutMs);
  const runner = isClient(client) ? quietClient(client) : restClient(client, timeoutMs);
  const store = scriptedStore(createEvaluate(runner), { prefix, clock, timeoutMs });
  return {
    ...checkedStore(store, call),
    async check() {
      const key = redisKey(prefix, usesKey("check", randomId()));
      const use = { key, prefix, commands: STORE_COMMANDS, consequence: "every spend fails" };
      const problems = await call(() => checkPermissions(runner, use));
      return problems.map((problem) => ({ ...problem, ...(problem.code === "GP146" && READ_ONLY) }));
    },
  };
}

/** With Upstash, refused commands mean a read-only token. */
const READ_ONLY: Pick<ConfigProblem, "message" | "fix"> = {
  message: "The token of Upstash may not run scripts that write: every spend fails",
  fix: "Use the standard token, not the read-only one",
};

function isClient(client: UpstashClient | UpstashRest): client is UpstashClient {
  return (
    typeof client === "object" &&
    client !== null &&
    "evalsha" in client &&
    typeof client.evalsha === "function" &&
    typeof client.eval === "function"
  );
}
