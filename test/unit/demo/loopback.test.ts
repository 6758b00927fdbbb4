import { describe, expect, it } from "vitest";
import { isLoopback } from "../../../demo/loopback.ts";
import { memoryBoard } from "../../../src/scores/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { root } from "../../helpers/sources.ts";

/** What each runtime passes beside a request from this address. */
const SHAPES: [string, (address: string) => unknown][] = [
  ["Node", (address) => ({ peer: address })],
  ["Bun", (address) => ({ requestIP: () => ({ address, family: "IPv4", port: 5 }) })],
  ["Deno", (address) => ({ remoteAddr: { transport: "tcp", hostname: address, port: 5 } })],
];
const HERE = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"];
const ELSEWHERE = ["192.0.2.9", "10.0.0.1", "fe80::1", "::ffff:192.0.2.9", "127.0.0.1.evil.example", "1.127.0.0.1", ""];

describe.each(SHAPES)("a request on %s", (_, second) => {
  it("from this machine, to its own name, may have the emulator", () => {
    for (const address of HERE) {
      for (const host of ["localhost:8787", "127.0.0.1:8787"]) {
        expect([address, isLoopback(new Request(`http://${host}/turnstile/v0/api.js`), second(address))]).toEqual([address, true]);
      }
    }
  });

  it("from elsewhere may not, whatever its Host header says: on 0.0.0.0 anybody may write localhost", () => {
    for (const address of ELSEWHERE) {
      expect([address, isLoopback(new Request("http://localhost/turnstile/v0/api.js"), second(address))]).toEqual([address, false]);
    }
  });

  it("from this machine to another name may not: the name may be anybody's that leads here", () => {
    expect(isLoopback(new Request("http://ember.example/turnstile/v0/api.js"), second("127.0.0.1"))).toBe(false);
  });
});

it("an address header counts for nothing outside workerd", () => {
  const request = new Request("http://localhost/", { headers: { "cf-connecting-ip": "127.0.0.1", "x-forwarded-for": "127.0.0.1" } });
  for (const second of [undefined, {}, { peer: "192.0.2.9" }]) expect(isLoopback(request, second)).toBe(false);
});

it("the demo mints no token and shows no log for a stranger who writes Host: localhost", async () => {
  // By its path: the demo's types are a project of their own.
  const { createDemo }: { createDemo(env: object, storage: object): { fetch(request: Request, second: unknown): Promise<Response> } } =
    await import(`${root}demo/server.ts`);
  const demo = createDemo({}, { store: memoryStore(), board: memoryBoard() });
  const mint = (peer: string): Promise<Response> =>
    demo.fetch(
      new Request("http://localhost/turnstile/control/mint", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: "{}",
      }),
      { peer },
    );
  expect((await mint("192.0.2.9")).status).not.toBe(200);
  expect((await mint("127.0.0.1")).status).toBe(200);
  const log = (peer: string): Promise<Response> =>
    demo.fetch(new Request("http://localhost/protected/log", { headers: { "x-demo-page": "a-page-of-the-tests" } }), { peer });
  expect((await log("192.0.2.9")).status).toBe(404);
  expect((await log("127.0.0.1")).status).toBe(200);
});
