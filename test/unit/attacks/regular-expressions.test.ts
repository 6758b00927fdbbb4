import { expect, test } from "vitest";
import { clientAddress, readJson } from "../../../src/http/index.ts";
import type { ClientIpOption } from "../../../src/http/types.ts";
import { testGate } from "../../helpers/gate.ts";

/** Milliseconds that the fastest of three takes: on a busy machine the slowest says nothing. */
async function fastest(work: () => unknown): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 3; i++) {
    const start = performance.now();
    await work();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

// Before any limit is charged: one line of a shell script would hold a core. A route may allow bodies of that size.
const SIZE = 65_536;
test.each([
  ["escaped quotes in a text that does not end", `"${'\\"'.repeat(SIZE / 2 - 2)}`],
  ["the same, ending in half an escape", `"${'\\"'.repeat(SIZE / 2 - 2)}\\`],
  ["the same, with a line end that no text may have", `"${'\\"'.repeat(SIZE / 2 - 2)}\\\n`],
  ["texts that do not end", '"a\n'.repeat(SIZE / 3)],
  ["brackets", "[]".repeat(SIZE / 2)],
  ["brackets that stay open", "[{".repeat(SIZE / 2)],
  ["one long number", "1".repeat(SIZE)],
])("a large body is looked at in no time: %s", async (_what, body) => {
  const read = (): Promise<unknown> =>
    readJson(new Request("https://game.example/", { method: "POST", body, headers: { "content-type": "application/json" } }), SIZE).catch(
      (refusal: unknown) => refusal,
    );
  expect(await fastest(read)).toBeLessThan(100);
});

test.each([
  ["colons", ":".repeat(16_000)],
  ["a bracket and colons", `[${":".repeat(16_000)}`],
  ["groups and a bracket", `${"a:".repeat(8000)}]`],
  ["many brackets", "[:".repeat(8000)],
  ["commas", ",".repeat(16_000)],
  ["proxies", "127.0.0.1,".repeat(1600)],
])("an address of the size of all headers is looked at in no time: %s", async (_what, text) => {
  const options: ClientIpOption[] = [
    { header: "x-real-ip" },
    { trustedProxies: ["127.0.0.1"] },
    { trustedProxies: ["127.0.0.1"], source: "forwarded" },
  ];
  const request = new Request("https://game.example/", {
    headers: { "x-real-ip": text, "x-forwarded-for": text, forwarded: `for="${text}"` },
  });
  for (const option of options) {
    const find = clientAddress(option);
    const platform = { kind: "node", env: undefined, peer: "127.0.0.1", waitUntil: () => undefined } as const;
    expect(await fastest(() => find(request, platform)), JSON.stringify(option)).toBeLessThan(40);
  }
});

test.each([
  ["escapes in quotes", `for="${'\\"'.repeat(7900)}`],
  ["backslashes", `for="${"\\\\".repeat(7900)}`],
  ["elements that stay open", 'for="1,'.repeat(2200)],
  ["spaces", `${" ".repeat(16_000)}x`],
  ["pairs and spaces", `${`a=b;${" ".repeat(200)}`.repeat(75)}x`],
  ["names", "x=".repeat(8000)],
])("a Forwarded of the size of all headers is looked at in no time: %s", async (_what, forwarded) => {
  const find = clientAddress({ trustedProxies: ["127.0.0.1"], source: "forwarded" });
  const platform = { kind: "node", env: undefined, peer: "127.0.0.1", waitUntil: () => undefined } as const;
  const request = new Request("https://game.example/", { headers: { forwarded } });
  expect(await fastest(() => find(request, platform))).toBeLessThan(40);
});

const SPACES = " ".repeat(15_000);
test.each([
  ["spaces behind the type", { "content-type": `application/json${SPACES}x` }, 415],
  ["spaces behind the charset", { "content-type": `application/json; charset=utf-8${SPACES}x` }, 415],
  ["spaces of a bearer", { authorization: `Bearer ${SPACES}x` }, 400],
  ["a bearer of dots", { authorization: `Bearer ${".".repeat(15_000)}` }, 400],
  ["spaces before the kind of a token", { authorization: `Bearer ${btoa(`{"typ"${" ".repeat(280)}x`)}.x.y` }, 400],
  ["a session without end", { "x-gatepass-session": "A.".repeat(7500) }, 400],
  ["a device without end", { "x-device-id": "a".repeat(15_000) }, 400],
  ["an origin without end", { origin: `https://${"a.".repeat(7500)}` }, 403],
  ["an origin of ports", { origin: `https://game.example${":1".repeat(7400)}` }, 403],
])("a header of the largest size is looked at in no time: %s", async (_what, headers, status) => {
  const { send } = testGate();
  for (const path of ["/session", "/scores", "/scores/x/hide"]) {
    expect(await fastest(() => send("POST", path, "{", headers)), path).toBeLessThan(60);
  }
  expect((await send("POST", "/session", "{", headers)).status).toBe(status);
});
