// 100,000 protected writes a second over the places of a store that is partitioned, by the very functions that place them: how even the load is, and what
// a hot key does. A model of the traffic and no measurement, the same figures every time: `node test/bench/partitions.mjs`.
import { partitionOf, rateKey, usesKey } from "gatepass/store";
import { slotOf } from "../../adapters/_redis-slot.ts";
import { shardOf } from "../../adapters/_shard.ts";

const PER_SECOND = 100_000;
const SECONDS = 5;
const SHARDS = [1, 4, 16, 64, 256, 1024];
const MASTERS = [3, 6, 12, 24];
const SLOTS = 16_384;
const RULE = { name: "burst", window: 60 }; // all rules of an address share its partition

/** Who writes, of a hundred: the address, and the token. */
const MIX = {
  visitors: { share: 70, address: () => `v${zipf(2_000_000, 0.8)}`, token: (i) => `t${i}` },
  carrier: { share: 15, address: () => `c${below(8)}`, token: (i) => `t${i}` },
  bots: { share: 10, address: () => `b${below(5000)}`, token: (i) => `t${i}` },
  attacker: { share: 5, address: () => "one machine", token: () => "one token, over and over" },
};
const GROUPS = {
  "the mix": Object.keys(MIX),
  "no attacker": ["visitors", "carrier", "bots"],
  "no hot address": ["visitors", "bots"],
};

const random = generator(20_261_121);
const writes = Array.from({ length: PER_SECOND * SECONDS }, (_, i) => makeWrite(i));

const mix = Object.entries(MIX).map(([who, { share }]) => `${who} ${share} %`);
console.log(`${PER_SECOND.toLocaleString("en")} writes a second over ${SECONDS} s: ${mix.join(", ")}`);
console.log("Shards of Durable Objects: an address's rates are one request, the use of a token another, unless one shard has both");
console.table(SHARDS.map((shards) => line("shards", shards, ({ rates, uses }) => [shardOf(rates, shards), shardOf(uses, shards)], true)));
console.log("Masters of a Redis Cluster with equal ranges of slots: one script for the slot of the rates, one for that of the token");
const slots = new Map(writes.map((write) => [write, [write.rates, write.uses].map((partition) => slotOf(`gatepass:{${partition}}`))]));
console.table(
  MASTERS.map((masters) =>
    line("masters", masters, (write) => slots.get(write).map((slot) => Math.floor((slot * masters) / SLOTS)), false),
  ),
);
console.log("Hottest partitions");
console.table(hottest(8));

/** How requests fall on `count` places; where `joined`, what is in one place is one request. */
function line(kind, count, placesOf, joined) {
  const loads = Object.fromEntries(Object.keys(GROUPS).map((name) => [name, new Float64Array(count)]));
  let requests = 0;
  for (const write of writes) {
    const all = placesOf(write);
    const places = joined ? [...new Set(all)] : all;
    requests += places.length;
    for (const [name, members] of Object.entries(GROUPS)) {
      if (members.includes(write.who)) for (const place of places) loads[name][place] += 1 / SECONDS;
    }
  }
  const row = { [kind]: count, "requests a write": (requests / writes.length).toFixed(2) };
  row["mean, requests/s"] = Math.round(requests / SECONDS / count);
  for (const [name, load] of Object.entries(loads)) {
    const [busiest, mean] = [Math.max(...load), load.reduce((sum, n) => sum + n) / count];
    row[`busiest: ${name}`] = `${Math.round(busiest)}/s, ${(busiest / mean).toFixed(2)} x mean`;
  }
  return row;
}

function hottest(count) {
  const asked = new Map();
  for (const { rates, uses, who } of writes) {
    for (const partition of [rates, uses]) {
      const known = asked.get(partition);
      if (known === undefined) asked.set(partition, { who, n: 1 });
      else known.n += 1;
    }
  }
  return [...asked.values()]
    .sort((a, b) => b.n - a.n)
    .slice(0, count)
    .map(({ who, n }) => ({ who, "requests/s": Math.round(n / SECONDS) }));
}

function makeWrite(i) {
  let [who, rest] = ["attacker", random() * 100];
  for (const [name, { share }] of Object.entries(MIX)) {
    if (rest < share) {
      who = name;
      break;
    }
    rest -= share;
  }
  const { address, token } = MIX[who];
  return { who, rates: partitionOf(rateKey(RULE, [addressOf(address())])), uses: partitionOf(usesKey("jti", idOf(token(i)))) };
}

/** An IPv4 address out of a name. */
function addressOf(name) {
  const hash = mix32(name);
  return [24, 16, 8, 0].map((shift) => (hash >>> shift) & 255).join(".");
}

/** A token's id out of a name: 22 characters, as a session's. */
function idOf(name) {
  return [0, 1, 2, 3]
    .map((part) => mix32(`${part}${name}`).toString(36).padStart(7, "0").slice(-6))
    .join("")
    .slice(0, 22);
}

function mix32(text) {
  let hash = 0x9747b28c;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x5bd1e995);
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** 1..count, the lower the likelier: rank r with a weight of r ^ -exponent (below 1). */
function zipf(count, exponent) {
  const power = 1 - exponent;
  return Math.floor((1 + random() * (count ** power - 1)) ** (1 / power));
}

function below(count) {
  return Math.floor(random() * count);
}

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
