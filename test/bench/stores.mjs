// `npm run bench:stores [-- --rows 1000000]`: what the stores and boards cost on their real backends, started here, as ratios within one run. Takes a few
// minutes; exit code 1 where a goal is missed. Rounds of one bench: BENCH_ROUNDS.
import { spawnSync } from "node:child_process";
import { prepare, run } from "./prepare.mjs";

prepare(import.meta.url);
const bench = (title, file, args = []) => run(title, process.execPath, [`test/bench/${file}`, ...args]);

if (spawnSync("redis-server", ["--version"]).status === 0) {
  bench("three quotas on Redis", "stores/redis.mjs");
  bench("memory of Redis", "stores/redis-memory.mjs");
  bench("Upstash over REST", "stores/upstash.mjs");
  bench("what a protected write is charged for", "stores/costs.mjs");
  run("what strangers leave in a store", process.execPath, ["--expose-gc", "test/bench/stores/strangers.mjs"]);
} else console.error("!!! SKIPPED: Redis is not installed !!!");
bench("ranks of a large board", "stores/boards.mjs", process.argv.slice(2));
bench("shards of a Durable Object store", "durable-objects.mjs");
bench("100,000 writes a second over partitions, a model", "partitions.mjs");
