// The throughput of the store in Durable Objects at 1, 4 and 16 shards, as ratios to one shard of the same run: `node test/bench/durable-objects.mjs`.
import { startWorkerd } from "../helpers/workerd.ts";

const CALLS = 1000;
const SHARDS = [1, 4, 16];
const KINDS = ["one partition", "a write"];
const MAX_ROUNDS = 5;
/** Milliseconds after which no round begins. */
const ENOUGH = 30_000;

const worker = await startWorkerd({ entry: "test/bench/durable-objects.worker.js", durableObjects: { GATE: "Gate" } });
const rates = {};
const requests = {};
const busiest = {};
try {
  const begin = performance.now();
  for (const kind of KINDS) for (const shards of SHARDS) await run(kind, shards, 200);
  for (let round = 0; round < MAX_ROUNDS && (round === 0 || performance.now() - begin < ENOUGH); round++) {
    const order = round % 2 ? SHARDS.toReversed() : SHARDS;
    for (const kind of KINDS) {
      for (const shards of order) {
        const name = `${kind}|${shards}`;
        const { ms, asked } = await run(kind, shards, CALLS);
        const counts = Object.values(asked);
        const all = counts.reduce((sum, n) => sum + n, 0);
        rates[name] = [...(rates[name] ?? []), CALLS / ms];
        requests[name] = all / CALLS;
        busiest[name] = (Math.max(...counts) * shards) / all;
      }
    }
  }
} finally {
  await worker.dispose();
}

const table = KINDS.flatMap((kind) =>
  SHARDS.map((shards) => {
    const [name, one] = [`${kind}|${shards}`, `${kind}|1`];
    return {
      spend: kind,
      shards,
      "requests a spend": requests[name].toFixed(2),
      "throughput here, of 1 shard": (median(rates[name]) / median(rates[one])).toFixed(2),
      "busiest object, of its share": busiest[name].toFixed(2),
      "objects' limit, of 1 shard": (shards / busiest[name] / (requests[name] / requests[one])).toFixed(1),
    };
  }),
);
console.table(table);
console.log(`Rounds: ${rates[`${KINDS[0]}|1`].length}, 64 callers, three quotas a spend.
What this shows: what sharding costs. All objects share one thread of one workerd here, so the throughput tells how much each request more takes, and
nothing of what more machines give. On Cloudflare every object has a thread of its own, good for about 1,000 requests a second: the last column is what
n objects can take before the busiest of them is full, compared with one. It is arithmetic, from the requests a spend makes and how they spread.`);

async function run(kind, shards, calls) {
  const answer = await (await worker.fetch(`/?kind=${encodeURIComponent(kind)}&shards=${shards}&calls=${calls}`)).json();
  if (answer.admitted !== calls) throw new Error(`${answer.admitted} of ${calls} admitted`);
  return answer;
}

function median(list) {
  return list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
}
