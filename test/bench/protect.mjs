// What a gate costs a route that needs no clearance: `gate.protect` against one bare HMAC verify of a token (crypto.subtle and JSON, no checks but
// the MAC and the expiry, as in tokens.mjs). Both kinds of such routes: one that the policy never asks, which touches no store, and one that is weighed
// and found harmless, which counts in one store round trip.
import { createGate, memoryStore } from "gatepass";
import { clearance, exampleLimits, examplePolicy } from "gatepass/clearance";
import { ratios } from "./ratios.mjs";

const IN_FLIGHT = 64;
const CALLS = 8192; // a round
const secret = "a secret of the benchmark, at least 32 bytes long";
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const toText = (bytes) => btoa(String.fromCharCode.apply(null, bytes)).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
const toBytes = (text) => {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
};
const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
const now = Math.floor(Date.now() / 1000);
// The claims of a clearance.
const claims = {
  jti: "0Wm3q8yZr5Tn1KpXcV7bLg",
  device_id: "QYl3v0pS6mKc2t8Zx1wNfA",
  ip: "x0pS6mKc2t8Zx1wNfAQYl3",
  scope: ["/api/search"],
  max_uses: 20,
  challenge_id: "mKc2t8Zx1wNfAQYl3v0pS6",
  until: now + 2210,
  v: 1,
  iat: now,
  exp: now + 1800,
  aud: "shop.example",
};
const input = [{ alg: "HS256", typ: "gp-clearance+jwt" }, claims].map((part) => toText(encoder.encode(JSON.stringify(part)))).join(".");
const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(input)));
const token = `${input}.${toText(mac)}`;
const signed = encoder.encode(input);

/** The MAC alone. Many at once share the platform's threads, so that it is compared one at a time, as the cost of one call. */
async function macAlone() {
  if (!(await crypto.subtle.verify("HMAC", key, mac, signed))) throw new Error("Not signed");
}

async function bareVerify() {
  const [header, payload, mac] = token.split(".");
  if (JSON.parse(decoder.decode(toBytes(header))).typ !== "gp-clearance+jwt") throw new Error("Another kind");
  const text = encoder.encode(`${header}.${payload}`);
  if (!(await crypto.subtle.verify("HMAC", key, toBytes(mac), text))) throw new Error("Not signed");
  if (JSON.parse(decoder.decode(toBytes(payload))).exp <= Date.now() / 1000) throw new Error("Expired");
}

let trips = 0;
const inner = memoryStore();
const store = {
  ...inner,
  spend(quotas) {
    trips += 1;
    return inner.spend(quotas);
  },
};
const gate = createGate({
  secrets: secret,
  turnstile: { secret: "0x4AAAAAAA_a_secret_of_the_benchmark", allowedHostnames: ["shop.example"] },
  store,
  clientIp: ({ headers }) => headers.get("x-from") ?? undefined,
  // Enough devices for every round, none of which becomes conspicuous.
  features: [clearance({ policy: examplePolicy, limits: exampleLimits })],
});
let device = 0;
const requests = (path) =>
  Array.from({ length: CALLS }, () => {
    device += 1;
    const headers = { "x-device-id": `device-${device >> 5}`, "x-from": `203.${(device >> 18) % 256}.${(device >> 10) % 256}.7` };
    return new Request(`https://shop.example${path}`, { headers });
  });

/** Callers, each with its next call as soon as its last one is done. */
async function load(call, inFlight = IN_FLIGHT) {
  let next = 0;
  const caller = async () => {
    while (next < CALLS) await call(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
}

const protecting = (path, most, inFlight) => async () => {
  // Made before the clock runs: a request comes with the platform.
  const asked = requests(path);
  return async () => {
    trips = 0;
    await load(async (i) => {
      const admission = await gate.protect(asked[i]);
      if (!admission.ok) throw new Error(`A request was refused: ${admission.code}`);
    }, inFlight);
    if (trips > most * CALLS) throw new Error(`${CALLS} requests took ${trips} store round trips`);
  };
};

await ratios(
  "a route that needs no clearance",
  {
    "protect, never asked": protecting("/health", 0),
    "protect, weighed and counted": protecting("/api/search", 1),
    "one bare HMAC verify": async () => () => load(bareVerify),
  },
  [
    ["protect, never asked", "one bare HMAC verify", 0.5],
    ["protect, weighed and counted", "one bare HMAC verify", 0.5],
  ],
);
await ratios(
  "the same, one at a time",
  {
    "protect, never asked": protecting("/health", 0, 1),
    "protect, weighed and counted": protecting("/api/search", 1, 1),
    "one crypto.subtle.verify": async () => () => load(macAlone, 1),
  },
  [
    ["protect, never asked", "one crypto.subtle.verify", 0.5],
    ["protect, weighed and counted", "one crypto.subtle.verify", 0.5],
  ],
);
