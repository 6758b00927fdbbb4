// What one protected write is charged for, as each backend counts it: commands, bytes, rows. No goals: demo/docs/planning.md makes money of them.
import { redisStore } from "gatepass/adapters/redis";
import { Redis } from "ioredis";
import { startRedis } from "../../helpers/redis.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { admit, drive, quotasOf } from "./traffic.mjs";

const WRITES = 20_000;

const worker = await startWorkerd({ entry: "test/bench/stores/costs.worker.js", durableObjects: { GATE: "Gate" }, d1: ["DB"] });
try {
  console.table(await (await worker.fetch("/")).json());
} finally {
  await worker.dispose();
}

const server = await startRedis();
const client = new Redis(server.url);
const store = redisStore(client, { timeoutMs: 60_000 });
try {
  await drive(WRITES, (i) => admit(store, quotasOf(i)));
  await server.command("CONFIG", "RESETSTAT");
  await drive(WRITES, (i) => admit(store, quotasOf(i)));
  const stats = await server.info("stats");
  const commands = await server.info("commandstats");
  const bytes = async (key) => Number(await server.command("MEMORY", "USAGE", key));
  const [rate] = await server.keys().then((keys) => keys.filter((key) => key.includes("|")));
  const use = await server.keys().then((keys) => keys.find((key) => key.includes("{ujti:")));
  console.table({
    "commands of a write": (Number(stats.total_commands_processed) / WRITES).toFixed(2),
    "of which come over the network": (Number(/calls=(\d+)/.exec(commands.cmdstat_evalsha)[1]) / WRITES).toFixed(2),
    "bytes to the server": Math.round(stats.total_net_input_bytes / WRITES),
    "bytes from the server": Math.round(stats.total_net_output_bytes / WRITES),
    "bytes of a rate key": await bytes(rate),
    "bytes of a use": await bytes(use),
  });
} finally {
  client.disconnect();
  await server.dispose();
}
