// Upstash over its REST API: upstashStore against @upstash/ratelimit on its own terms (its sliding window weighs the window before, and admits too
// much where that was uneven), with the same client of @upstash/redis and its own pipelining. The REST front is a process's own, before a real Redis:
// what a network and a service more take is not in here, which is the greater part of such a call and the same for both.
import { createHash } from "node:crypto";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";
import { upstashStore } from "gatepass/adapters/upstash";
import { startRedis } from "../../helpers/redis.ts";
import { startUpstash } from "../../helpers/upstash.ts";
import { ratios } from "../ratios.mjs";
import { addressOf, admit, drive, quotasOf, RULES, TTL, tokenOf } from "./traffic.mjs";

const WRITES = 1024; // a round

const server = await startRedis();
const front = await startUpstash(server.url);
const redis = new Redis({ url: front.url, token: front.token, enableTelemetry: false });
const store = upstashStore(redis, { timeoutMs: 60_000 });
const limiters = RULES.map(
  ({ name, limit, window }) => new Ratelimit({ redis: plain(redis), limiter: Ratelimit.slidingWindow(limit, `${window} s`), prefix: name }),
);
const limit = async (limiter, i) => {
  if (!(await limiter.limit(addressOf(i))).success) throw new Error("A request was refused");
};
const once = async (i) => {
  if ((await redis.set(`jti:${tokenOf(i)}`, 1, { nx: true, px: TTL })) !== "OK") throw new Error("A token was used before");
};

try {
  await ratios(
    "one sliding window over REST, 64 in flight",
    timed({ gatepass: (i) => admit(store, quotasOf(i).slice(0, 1)), "@upstash/ratelimit": (i) => limit(limiters[0], i) }),
    [["gatepass", "@upstash/ratelimit", 0.7]],
  );
  await ratios(
    "three quotas over REST, 64 in flight",
    timed({
      gatepass: (i) => admit(store, quotasOf(i)),
      "@upstash/ratelimit and SET NX, in turn": async (i) => {
        for (const limiter of limiters) await limit(limiter, i);
        await once(i);
      },
      "@upstash/ratelimit and SET NX, side by side": (i) => Promise.all([...limiters.map((limiter) => limit(limiter, i)), once(i)]),
    }),
    [
      ["gatepass", "@upstash/ratelimit and SET NX, in turn", 1.3],
      ["gatepass", "@upstash/ratelimit and SET NX, side by side", 1],
    ],
  );
} finally {
  await front.close();
  await server.dispose();
}

function timed(works) {
  return Object.fromEntries(
    Object.entries(works).map(([name, work]) => [
      name,
      async () => {
        // The front keeps what came in, for tests.
        front.requests.length = 0;
        return () => drive(WRITES, work);
      },
    ]),
  );
}

/** Its scripts begin with a flag that Upstash alone knows, and another Redis refuses. */
function plain(client) {
  const sha = (text) => createHash("sha1").update(text).digest("hex");
  const hashes = new Map();
  return {
    evalsha: (hash, keys, args) => client.evalsha(hashes.get(hash) ?? hash, keys, args),
    eval(script, keys, args) {
      const text = script.replace(/^#!lua.*/, "");
      hashes.set(sha(script), sha(text));
      return client.eval(text, keys, args);
    },
  };
}
