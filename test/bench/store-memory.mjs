// What a key costs in the memory store with a million of them (node --expose-gc), and that a call to a full store sweeps no more than 256 records.
import { memoryStore, rateKey, usesKey } from "gatepass/store";

const KEYS = 1_000_000;
const T = 1_750_000_000_000;
/** Bytes a key at most. */
const BUDGET = { uses: 160, rate: 280 };

if (typeof globalThis.gc !== "function") throw new Error("Run with --expose-gc");

const quotas = {
  // A session: a jti of 22 characters.
  uses: (i) => ({ key: usesKey("jti", id(i)), limit: 20, expiresAt: T + 305_000 }),
  // A stranger: an IPv6 /64 as hex.
  rate: (i) => ({
    key: rateKey({ name: "scores.burst", window: 60 }, [`20010db8${i.toString(16).padStart(8, "0")}`]),
    limit: 30,
    window: 60,
  }),
};

for (const [kind, quota] of Object.entries(quotas)) {
  let time = T;
  const store = memoryStore({ maxKeys: KEYS, clock: () => time });
  const before = used();
  for (let i = 0; i < KEYS; i++) await store.spend([quota(i)]);
  time += 6000;
  if (kind === "rate") for (let i = 0; i < KEYS; i++) await store.spend([quota(i)]);
  const bytes = (used() - before) / KEYS;
  report(
    `${kind} key, ${store.size} of them: ${bytes.toFixed(0)} bytes, at most ${BUDGET[kind]}`,
    store.size === KEYS && bytes <= BUDGET[kind],
  );

  const start = performance.now();
  for (let i = 0; i < 100_000; i++) await store.spend([quota((i * 7919) % KEYS)]);
  console.log(`  one spend among them: ${(((performance.now() - start) / 100_000) * 1000).toFixed(2)} us`);

  time += 400_000;
  const size = store.size;
  await store.spend([{ key: "one more", limit: 1, window: 1 }]);
  const swept = size + 1 - store.size;
  report(`  ${swept} dead keys swept by a call to a full store, at most 256`, swept > 0 && swept <= 256);
}

/** Bytes that live: the heap, and what typed arrays hold outside of it. */
function used() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** 22 characters of base64url, different for every i. */
function id(i) {
  return Buffer.from(
    Array.from({ length: 16 }, (_, n) => (Math.imul(i + 1, 0x9e3779b1 + n * 2) >>> 24) ^ ((i >> ((n & 3) * 8)) & 255)),
  ).toString("base64url");
}

function report(text, good) {
  console.log(`${good ? "ok  " : "MISS"} ${text}`);
  if (!good) process.exitCode = 1;
}
