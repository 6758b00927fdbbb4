import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createGate } from "../../../src/gate/index.ts";
import type { Feature, FeatureFactory, GateOptions, RouteContext } from "../../../src/gate/types.ts";
import { logs, takeLeaks } from "../../helpers/audit.ts";
import { bearer, SECRET, type TestGate, testGate } from "../../helpers/gate.ts";

beforeAll(() => {
  logs.muted = true;
});
afterAll(() => {
  logs.muted = false;
});

/** A gate with a route of an application that says more than it should. */
function leaky(answer: (ctx: RouteContext) => Response | Promise<Response>, more: Partial<Feature> = {}): TestGate {
  const feature: FeatureFactory = () => ({
    name: "leaky",
    routes: [{ method: "POST", path: "/leak", handle: async (ctx) => answer(ctx) }],
    ...more,
  });
  return testGate({ features: [feature] });
}

/** What the search found; each test leaves nothing behind, or its file fails as any other would. */
async function found(at: TestGate, headers: Record<string, string> = {}): Promise<string[]> {
  await at.send("POST", "/leak", undefined, headers);
  return takeLeaks();
}

describe("the search of every answer, event and log line finds", () => {
  it("nothing where nothing leaks, prefixes and session tokens in answers included", async () => {
    const at = testGate();
    const token = await at.session();
    await at.send("POST", "/scores", { score: 1 }, bearer(token));
    console.log("203.0.113.0/24 at 12:30:05, 2001:db8:1::/48, version 1.2.3");
    expect(takeLeaks()).toEqual([]);
  });

  it("a secret, in a body or in a header", async () => {
    expect(await found(leaky((ctx) => ctx.respond(200, { debug: SECRET })))).toEqual([
      expect.stringContaining("A response holds a secret"),
    ]);
    expect(await found(leaky((ctx) => ctx.respond(204, undefined, { "x-debug": SECRET })))).toHaveLength(1);
  });

  it("a Turnstile token: of a header, of siteverify, or one that was minted and never sent on", async () => {
    const echo = leaky((ctx) => ctx.respond(200, { token: ctx.request.headers.get("x-turnstile-token") }));
    expect(await found(echo, { "x-turnstile-token": "a-token-of-a-stranger-0123456789" })).toHaveLength(1);
    let minted = "";
    const at = leaky((ctx) => ctx.respond(200, { token: minted }));
    minted = await at.mint();
    expect(await found(at)).toHaveLength(1);
    await at.send("POST", "/session", { turnstileToken: "another-token-of-a-stranger-0123456789" });
    minted = "another-token-of-a-stranger-0123456789";
    expect(await found(at)).toHaveLength(1);
  });

  it.each(["203.0.113.7", "2001:db8:1:2:3:4:5:6", "2001:db8::1", "::ffff:203.0.113.7"])("the address %s", async (address) => {
    expect(await found(leaky((ctx) => ctx.respond(200, { from: address })))).toContainEqual(
      expect.stringContaining(`holds the address ${address}`),
    );
  });

  it("a token in a log line, as text, in an object or in an error", async () => {
    const token = await testGate().session();
    for (const value of [token, { headers: { authorization: token } }, new Error(`of ${token}`), new Error("of", { cause: token })]) {
      console.error(value);
      expect(takeLeaks()).toEqual([expect.stringContaining("console.error holds a token")]);
    }
  });

  it("what an event would hold if nothing redacted it", async () => {
    const at = leaky((ctx) => ctx.respond(204, undefined), {
      on: (event) => console.debug(JSON.stringify({ ...event, ip: "203.0.113.7" })),
    });
    await at.send("POST", "/leak", undefined, { origin: "https://evil.example" });
    expect(takeLeaks()).toEqual(expect.arrayContaining([expect.stringContaining("console.debug holds the address 203.0.113.7")]));
  });

  it("also behind guard, handle and the gate of an env", async () => {
    const options: GateOptions = {
      secrets: SECRET,
      mode: "off",
      features: [() => ({ name: "leaky", routes: [{ method: "GET", path: "/leak", handle: async (ctx) => ctx.respond(200, SECRET) }] })],
    };
    const request = (): Request => new Request("https://game.example/api/leak");
    await createGate(options).handle(request());
    expect(takeLeaks()).toHaveLength(1);
    await createGate(() => options)
      .for({})
      .fetch(request());
    expect(takeLeaks()).toHaveLength(1);
    await createGate(options).guard(() => new Response(SECRET))(request());
    expect(takeLeaks()).toHaveLength(1);
  });
});
