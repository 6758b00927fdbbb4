// Signing and verifying with 64 calls in flight, against the least that can be done (crypto.subtle and JSON, one key, no checks but the MAC
// and the expiry) and against hono/jwt as its documentation uses it. Runs on Node, Bun and Deno.
import { createTokens } from "gatepass/tokens";
import { sign as honoSign, verify as honoVerify } from "hono/jwt";
import { ratios } from "./ratios.mjs";

const IN_FLIGHT = 64;
const CALLS = 8192; // a round
const secret = "w6Pz0jX2mVhR8bqKfT1yNcE4sLdG7uAoIxYtBnQk3Zg";
const session = {
  sub: "QYl3v0pS6mKc2t8Zx1wNfA",
  auth_time: Math.floor(Date.now() / 1000),
  scope: ["score_submit"],
  uses: 20,
  jti: "0Wm3q8yZr5Tn1KpXcV7bLg",
};
const typ = "gp-session+jwt";
const audience = "game.example";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
// Base64url of what all three runtimes have, in its fastest form. (Buffer and the new toBase64 are faster where they are; jose's own base64 is like this.)
const toText = (bytes) => btoa(String.fromCharCode.apply(null, bytes)).replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_");
const toBytes = (text) => {
  const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
};
const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);

async function bareSign(claims, ttl) {
  const iat = Math.floor(Date.now() / 1000);
  const header = toText(encoder.encode(JSON.stringify({ alg: "HS256", typ })));
  const payload = toText(encoder.encode(JSON.stringify({ ...claims, v: 1, iat, exp: iat + ttl, aud: audience })));
  const input = `${header}.${payload}`;
  return `${input}.${toText(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(input))))}`;
}

async function bareVerify(token) {
  const [header, payload, mac] = token.split(".");
  if (JSON.parse(decoder.decode(toBytes(header))).typ !== typ) throw new Error("Another kind");
  const input = encoder.encode(`${header}.${payload}`);
  if (!(await crypto.subtle.verify("HMAC", key, toBytes(mac), input))) throw new Error("Not signed");
  const claims = JSON.parse(decoder.decode(toBytes(payload)));
  if (claims.exp <= Date.now() / 1000) throw new Error("Expired");
  return claims;
}

const tokens = createTokens({ secrets: secret, audience });
const iat = () => Math.floor(Date.now() / 1000);
const signers = {
  gatepass: () => tokens.sign(typ, session, { ttl: 300 }),
  bare: () => bareSign(session, 300),
  "hono/jwt": () => honoSign({ ...session, v: 1, iat: iat(), exp: iat() + 300, aud: audience }, secret, "HS256"),
};
const verifiers = {
  gatepass: (token) => tokens.verify(typ, token),
  bare: bareVerify,
  "hono/jwt": (token) => honoVerify(token, secret, { alg: "HS256", aud: audience }),
};

/** 64 callers, each with its next call as soon as its last one is done. */
async function load(call) {
  let left = CALLS;
  const caller = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, caller));
}

await ratios("sign", Object.fromEntries(Object.entries(signers).map(([name, call]) => [name, async () => () => load(call)])), [
  ["gatepass", "bare", 0.9],
  ["gatepass", "hono/jwt", 1.25],
]);
const verifying = Object.entries(verifiers).map(([name, call]) => [
  name,
  async () => {
    const token = await signers[name]();
    return () => load(() => call(token));
  },
]);
await ratios("verify", Object.fromEntries(verifying), [
  ["gatepass", "bare", 0.75],
  ["gatepass", "hono/jwt", 1.25],
]);
