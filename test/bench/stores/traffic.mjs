// The traffic of the benches of the stores: 64 callers in flight, some thousand addresses, and a token of its own for every write.
import { rateKey, usesKey } from "gatepass/store";

const CALLERS = 64;

/** Milliseconds that a token lives. */
export const TTL = 60_000;

/** The two windows of a write; `window` in seconds. Nobody is refused here. */
export const RULES = [
  { name: "burst", limit: 1_000_000, window: 60 },
  { name: "daily", limit: 10_000_000, window: 86_400 },
];

let written = 0;

/** Calls `work` with the numbers of `count` writes that nobody has made before, 64 of them in flight. */
export async function drive(count, work) {
  const end = written + count;
  const caller = async () => {
    while (written < end) await work(written++);
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
}

/** One of 4096 addresses. */
export function addressOf(i) {
  return `203.0.${(i >> 8) & 15}.${i & 255}`;
}

/** 22 characters, like a session's. */
export function tokenOf(i) {
  return `token-${String(i).padStart(16, "0")}`;
}

/** The quotas of a write: burst and daily of its address, and the one use of its token. */
export function quotasOf(i) {
  const address = [addressOf(i)];
  return [
    ...RULES.map((rule) => ({ key: rateKey(rule, address), limit: rule.limit, window: rule.window })),
    { key: usesKey("jti", tokenOf(i)), limit: 1, expiresAt: Date.now() + TTL },
  ];
}

/** Makes a spend that has to be admitted. */
export async function admit(store, quotas) {
  const { ok } = await store.spend(quotas);
  if (!ok) throw new Error("A spend was refused");
}
