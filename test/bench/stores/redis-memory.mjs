// What a live one-use key costs in Redis: 200,000 tokens spent through the store against as many `SET key 1 PX` with keys of the same length, each on
// a server of its own.
import { redisStore } from "gatepass/adapters/redis";
import { Redis } from "ioredis";
import { startRedis } from "../../helpers/redis.ts";
import { report } from "../report.mjs";
import { admit, drive, quotasOf } from "./traffic.mjs";

const KEYS = 200_000;
const LIFE = 3_600_000; // ms: nobody dies meanwhile
const GOAL = 1.3;
/** The beginning of our keys. */
const PREFIX = "gatepass:";

const useOf = (i) => ({ ...quotasOf(i)[2], expiresAt: Date.now() + LIFE });

const ours = await bytesAKey((client) => {
  const store = redisStore(client, { prefix: PREFIX, timeoutMs: 60_000 });
  return (i) => admit(store, [useOf(i)]);
});
const bare = await bytesAKey((client) => (i) => client.set(`${PREFIX}{${useOf(i).key}}`, "1", "PX", LIFE));
if (ours.length !== bare.length) throw new Error(`Keys of ${ours.length} bytes are compared with keys of ${bare.length}`);
const ratio = ours.bytes / bare.bytes;
report(
  ratio <= GOAL,
  `memory of a live one-use key of ${ours.length} bytes: ${ours.bytes.toFixed(0)} bytes, ${ratio.toFixed(2)} of a bare SET PX with ${bare.bytes.toFixed(0)} (goal ${GOAL})`,
);

async function bytesAKey(make) {
  const server = await startRedis();
  const client = new Redis(server.url);
  try {
    const work = make(client);
    await drive(1, work); // Scripts, buffers, the first table.
    const before = await used(server);
    await drive(KEYS, work);
    const bytes = ((await used(server)) - before) / KEYS;
    if (Number(await server.command("DBSIZE")) !== KEYS + 1) throw new Error("Keys are missing");
    return { bytes, length: String(await server.command("RANDOMKEY")).length };
  } finally {
    client.disconnect();
    await server.dispose();
  }
}

/** Bytes that the server holds. */
async function used(server) {
  return Number((await server.info("memory")).used_memory);
}
