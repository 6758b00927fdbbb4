import { expect, test } from "vitest";
import { clientAddress, readJson } from "../../../src/http/index.ts";
import type { ClientIpOption } from "../../../src/http/types.ts";

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
