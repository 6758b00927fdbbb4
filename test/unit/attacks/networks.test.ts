import { expect, test } from "vitest";
import { memoryStore } from "../../../src/store/index.ts";
import { testGate } from "../../helpers/gate.ts";

/** A gate that believes the `x-test` header, and a request for a session from an address of network `site`, subnet `subnet`. */
function gate(): {
  ask(address: string): Promise<number>;
  store: ReturnType<typeof memoryStore>;
  siteverify(): number;
  advance(ms: number): void;
} {
  let offset = 0;
  const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) + offset });
  const { send, emulator, advance } = testGate({ store, clientIp: (request) => request.headers.get("x-test") ?? undefined });
  return {
    store,
    siteverify: () => emulator.control.counts().siteverify,
    ask: async (address) => (await send("POST", "/session", { turnstileToken: "made-up" }, { "x-test": address })).status,
    advance(ms) {
      offset += ms;
      advance(ms);
    },
  };
}

const subnet = (site: string, i: number): string => `2001:db8:${site}:${((i * 40_503) % 65_536).toString(16)}::1`;
const within56 = (site: string, i: number): string => `2001:db8:${site}:42${(i % 256).toString(16).padStart(2, "0")}::${i.toString(16)}`;

test("whoever owns a /48 and asks from each of its networks once makes us ask Cloudflare 16 times as often as one visitor, and fills no store", async () => {
  const at = gate();
  const answers: number[] = [];
  for (let i = 0; i < 700; i++) answers.push(await at.ask(subnet("1", i)));
  expect([answers.filter((status) => status === 403).length, answers.filter((status) => status === 429).length]).toEqual([480, 220]);
  expect(at.siteverify()).toBe(480);
  expect(at.store.size).toBeLessThanOrEqual(480 + 256 + 1);
  // A rotation that goes on finds no room until a window has passed, and then as little as before.
  for (let i = 700; i < 800; i++) expect(await at.ask(subnet("1", i))).toBe(429);
  at.advance(66_000);
  const later: number[] = [];
  for (let i = 800; i < 1400; i++) later.push(await at.ask(subnet("1", i)));
  expect(later.filter((status) => status === 403)).toHaveLength(480);
});

test("a /56 has 4 times; meanwhile everybody outside is served: in the rest of that /48, in another, by IPv4", async () => {
  const at = gate();
  const answers: number[] = [];
  for (let i = 0; i < 300; i++) answers.push(await at.ask(within56("1", i)));
  expect(answers.filter((status) => status === 403)).toHaveLength(120);
  for (const neighbour of ["2001:db8:1:4300::1", "2001:db8:2::1", "203.0.113.9"]) expect(await at.ask(neighbour)).toBe(403);
});

test("one address in two spellings is one visitor, on the wire as well", async () => {
  const at = gate();
  const spellings = ["::ffff:203.0.113.7", "203.0.113.7", "64:ff9b::cb00:7107", "::FFFF:cb00:7107"];
  const answers: number[] = [];
  for (let i = 0; i < 40; i++) answers.push(await at.ask(spellings[i % spellings.length] ?? ""));
  expect(answers.filter((status) => status === 403)).toHaveLength(30);
});
