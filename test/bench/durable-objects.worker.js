// Spends inside workerd, and counts which object was asked how often.
import { DurableObject } from "cloudflare:workers";
import { durableObjectStore, gatepassObject } from "../../adapters/durable-object.ts";
import { rateKey, usesKey } from "../../src/store/keys.ts";

export class Gate extends gatepassObject(DurableObject) {}

const KINDS = {
  // Everything about one visitor: one partition, whatever `shards` is.
  "one partition": (i) => [1, 2, 3].map((n) => ({ key: rateKey({ name: `rule${n}`, window: 60 }, [address(i)]), limit: 1e9, window: 60 })),
  // A protected write: two windows of the visitor's address, and one use of a session.
  "a write": (i) => [
    { key: rateKey({ name: "burst", window: 60 }, [address(i)]), limit: 1e9, window: 60 },
    { key: rateKey({ name: "daily", window: 86_400 }, [address(i)]), limit: 1e9, window: 86_400 },
    { key: usesKey("jti", `session-${i % 5000}`), limit: 1e9, expiresAt: Date.now() + 600_000 },
  ],
};

export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const [shards, calls] = [Number(searchParams.get("shards")), Number(searchParams.get("calls"))];
    const asked = {};
    const namespace = {
      idFromName: (name) => name,
      get(name) {
        asked[name] = (asked[name] ?? 0) + 1;
        return env.GATE.get(env.GATE.idFromName(name));
      },
    };
    const store = durableObjectStore(namespace, { shards, prefix: `bench${shards}`, timeoutMs: 60_000 });
    let [next, admitted] = [0, 0];
    const start = Date.now();
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let i = next++; i < calls; i = next++) {
          // The loop of workerd has its turn, as it has where requests come from outside.
          await new Promise((resolve) => setTimeout(resolve, 0));
          if ((await store.spend(KINDS[searchParams.get("kind")](Math.imul(i, 7919) >>> 0))).ok) admitted += 1;
        }
      }),
    );
    return Response.json({ ms: Date.now() - start, admitted, asked });
  },
};

function address(i) {
  return `10.${(i >> 16) & 7}.${(i >> 8) & 255}.${i & 255}`;
}
