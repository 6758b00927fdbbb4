// Three quotas (burst, daily, one use; strict windows) on Redis: one spend of the store against what people write with rate-limiter-flexible, over
// the very same connection; how many commands each of them waits for; and what a strict window costs against a fixed one.
import { createHash } from "node:crypto";
import { redisStore } from "gatepass/adapters/redis";
import { Redis } from "ioredis";
import { RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";
import { startRedis } from "../../helpers/redis.ts";
import { ratios } from "../ratios.mjs";
import { report } from "../report.mjs";
import { FIXED } from "./fixed-windows.mjs";
import { addressOf, admit, drive, quotasOf, RULES, TTL, tokenOf } from "./traffic.mjs";

const WRITES = 8192; // a round
/** A machine that is busy is slow, and that is all. */
const OPTIONS = { timeoutMs: 60_000 };

const server = await startRedis();
const ioredis = new Redis(server.url);
const nodeRedis = await createClient({ url: server.url }).connect();
const drivers = {
  ioredis: { goal: 1.8, client: ioredis, setOnce: (key) => ioredis.set(key, "1", "PX", TTL, "NX"), options: {} },
  // It gathers all that is sent in one moment into one write, which no one who uses it can change: with one command a spend, server and client then
  // take turns, where three of them overlap. So there is no goal here, only the figure.
  "node-redis": {
    goal: undefined,
    client: nodeRedis,
    setOnce: (key) => nodeRedis.set(key, "1", { expiration: { type: "PX", value: TTL }, condition: "NX" }),
    options: { useRedisPackage: true },
  },
};

try {
  for (const [name, driver] of Object.entries(drivers)) {
    const others = alternatives(driver);
    await ratios(
      `three quotas over ${name}, 64 in flight`,
      timed({ gatepass: spender(redisStore(driver.client, OPTIONS)), ...others }),
      Object.keys(others).map((other) => ["gatepass", other, driver.goal]),
    );
  }
  await countCommands();
  await compareWindows();
} finally {
  ioredis.disconnect();
  nodeRedis.destroy();
  await server.dispose();
}

/** The better one of the two counts: side by side it has two commands less to wait for, in turn it begins fewer in vain. */
function alternatives({ client, setOnce, options }) {
  const limiters = RULES.map(
    ({ name, limit, window }) =>
      new RateLimiterRedis({ storeClient: client, keyPrefix: name, points: limit, duration: window, ...options }),
  );
  const once = async (i) => {
    if ((await setOnce(`jti:${tokenOf(i)}`)) !== "OK") throw new Error("A token was used before");
  };
  return {
    "rate-limiter-flexible and SET NX, in turn": async (i) => {
      for (const limiter of limiters) await limiter.consume(addressOf(i));
      await once(i);
    },
    "rate-limiter-flexible and SET NX, side by side": (i) =>
      Promise.all([...limiters.map((limiter) => limiter.consume(addressOf(i))), once(i)]),
  };
}

function spender(store, quotas = quotasOf) {
  return (i) => admit(store, quotas(i));
}

function timed(works, count = WRITES) {
  return Object.fromEntries(Object.entries(works).map(([name, work]) => [name, async () => () => drive(count, work)]));
}

/** What a write waits for: commands by the server's own count. A script's inner commands are counted there too, so each part is counted alone. */
async function countCommands() {
  const { client, setOnce } = drivers.ioredis;
  const [consume] = RULES.map(({ name, limit, window }) => {
    const limiter = new RateLimiterRedis({ storeClient: client, keyPrefix: name, points: limit, duration: window });
    return (i) => limiter.consume(addressOf(i));
  });
  const ours = await commandsOf(spender(redisStore(client, OPTIONS)));
  const theirs = { consume: await commandsOf(consume), set: await commandsOf((i) => setOnce(`jti:${tokenOf(i)}`)) };
  const waits = { ours: ours.evalsha, theirs: 2 * theirs.consume.evalsha + theirs.set.set };
  const inside = ({ evalsha, ...rest }) =>
    Object.entries(rest)
      .map(([command, calls]) => `${Number(calls.toFixed(2))} ${command}`)
      .join(", ");
  report(
    waits.ours === 1 && waits.theirs === 3,
    `round trips of a write: ${waits.ours} (evalsha, inside of it ${inside(ours)}) against ${waits.theirs} (two evalsha, inside of each ${inside(theirs.consume)}, and a set)`,
  );
}

/** Calls of each command for a write. */
async function commandsOf(work, count = 1024) {
  await drive(64, work); // The scripts are known from now on.
  await server.command("CONFIG", "RESETSTAT");
  await drive(count, work);
  const stats = Object.entries(await server.info("commandstats")).map(([name, value]) => [
    name.replace("cmdstat_", ""),
    Number(/calls=(\d+)/.exec(value)?.[1]) / count,
  ]);
  return Object.fromEntries(stats.filter(([name]) => !/^(info|config)/.test(name)));
}

/**
 * The store as it is, and the store with another script in the place of its own: the same three quotas all or nothing, the same arguments and the same
 * shape of answer, but each window a counter that begins anew at its end, which lets twice the limit through around that instant.
 */
async function compareWindows() {
  const strict = { send: (command, args) => ioredis.call(command, args) };
  const hash = createHash("sha1").update(FIXED).digest("hex");
  const fixed = { send: (command, [script, ...args]) => ioredis.call(command, [script.length === 40 ? hash : FIXED, ...args]) };
  const works = {
    "strict windows": spender(redisStore(strict, { ...OPTIONS, prefix: "strict:" })),
    "fixed windows in the same script": spender(redisStore(fixed, { ...OPTIONS, prefix: "fixed:" })),
  };
  const cost = {};
  for (const [name, work] of Object.entries(works)) cost[name] = await serverTime(work);
  await ratios("three quotas, 64 in flight", timed(works), [["strict windows", "fixed windows in the same script", 0.7]]);
  for (const [name, us] of Object.entries(cost)) console.log(`  ${name}: ${us.toFixed(1)} us of the server's time a spend`);
}

/** Microseconds that the server is busy with one script. */
async function serverTime(work) {
  await drive(WRITES, work);
  await server.command("CONFIG", "RESETSTAT");
  await drive(WRITES, work);
  return Number(/usec_per_call=([\d.]+)/.exec((await server.info("commandstats")).cmdstat_evalsha)?.[1]);
}
