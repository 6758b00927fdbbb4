// Spends once on a Cluster, and is killed (SIGKILL, by itself) when so many scripts of that spend have been answered: between two steps of it.
// Arguments: the cluster's ports, the quotas, after how many answers, all as JSON.
import process from "node:process";
import { createCluster } from "redis";
import { redisStore } from "../../../../adapters/redis.ts";

const [ports = "[]", quotas = "[]", after = "1"] = process.argv.slice(2);
const addresses: number[] = JSON.parse(ports);
const cluster = createCluster({ rootNodes: addresses.map((port) => ({ url: `redis://127.0.0.1:${port}` })) });
await cluster.connect();
let answers = 0;
// The real client, but for this: an answer that would let the spend go on ends the process, before anybody has seen it.
const send = cluster.sendCommand.bind(cluster);
const dying = Object.assign(cluster, {
  async sendCommand(...args: Parameters<typeof send>) {
    const answer: unknown = await send(...args);
    // An answer, not "NOSCRIPT": that one has done nothing.
    answers += 1;
    if (answers === Number(after)) process.kill(process.pid, "SIGKILL");
    return answer;
  },
});
const { ok } = await redisStore(dying, { timeoutMs: 20_000 }).spend(JSON.parse(quotas));
process.stdout.write(JSON.stringify({ ok, answers }));
process.exit(0);
