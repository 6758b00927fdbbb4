// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { withClearance } from "../../../src/client/clearance.ts";
import { createClient } from "../../../src/client/index.ts";
import { codeOf, type Setup, settle, setup } from "./setup.ts";

let current: Setup;
const make = (...given: Parameters<typeof setup>): Setup => {
  current = setup(...given);
  return current;
};

beforeEach(() => {
  vi.useFakeTimers();
  Reflect.set(location, "href", "http://localhost:3000/game/");
});
afterEach(() => {
  current?.client.close();
  document.head.querySelector("base")?.remove();
  vi.useRealTimers();
});

describe("a <base> that somebody injected into the page", () => {
  beforeEach(() => {
    const base = document.createElement("base");
    base.href = "https://evil.example/";
    document.head.append(base);
    expect(document.baseURI).toBe("https://evil.example/");
  });

  it("leads no Turnstile token, no player token, no session and no score to another origin", async () => {
    const { client, sent } = make({ baseUrl: "/api", player: { load: () => "p-old", save() {} } });
    await settle(client.submitScore({ score: 1 }));
    await settle(client.commit({ score: 1 }));
    await settle(client.scores());
    expect(sent.length).toBeGreaterThan(3);
    expect(sent.map(({ url }) => new URL(url).origin)).toEqual(sent.map(() => "http://localhost:3000"));
    expect(sent[0]?.url).toBe("http://localhost:3000/api/session");
  });

  it("makes no other origin ours: what the application sends there has no credential", async () => {
    const { client, sent } = make({ baseUrl: "/api" });
    await settle(client.start());
    await settle(client.fetch("https://evil.example/api/x", { method: "POST" }));
    expect([...(sent.at(-1)?.headers ?? [])].filter(([name]) => /authorization|gatepass|turnstile/.test(name))).toEqual([]);
  });

  it("leads no clearance and no device id there", async () => {
    const { client, sent } = make({ baseUrl: "/api" });
    const send: typeof fetch = async (input, init) => {
      sent.push(new Request(input, init));
      return Response.json(
        { error: "TURNSTILE_REQUIRED", challenge_id: "c", original_request_id: "r", action: "a", cdata: "c", scope: ["/x"] },
        { status: 403 },
      );
    };
    const guarded = withClearance(client, { baseUrl: "/api", fetch: send });
    await codeOf(guarded.fetch("http://localhost:3000/x", { method: "POST" }));
    expect(sent.map(({ url }) => new URL(url).origin)).toEqual(sent.map(() => "http://localhost:3000"));
    expect(sent.some(({ url }) => url.endsWith("/api/security/turnstile/verify"))).toBe(true);
    sent.length = 0;
    await settle(guarded.fetch("https://evil.example/x", { method: "POST", body: "text" }));
    expect([...(sent[0]?.headers ?? [])].map(([name]) => name).filter((name) => name.startsWith("x-"))).toEqual([]);
  });
});

describe("a redirect to a foreign origin", () => {
  it("takes no device id and no request id along: what names a device is never redirected, with a clearance or without", async () => {
    const { client } = make();
    const sent: Request[] = [];
    const send: typeof fetch = async (input, init) => {
      sent.push(new Request(input, init));
      return Response.json({});
    };
    const guarded = withClearance(client, { deviceId: "phone-1", baseUrl: "http://localhost:3000/api", fetch: send });
    for (const redirect of ["follow", "manual", "error"] as const) await settle(guarded.fetch("http://localhost:3000/api/x", { redirect }));
    // By "manual" a browser follows no redirect either, and tells it from a network that failed.
    expect(sent.map((request) => [request.headers.get("x-device-id"), request.redirect])).toEqual(Array(3).fill(["phone-1", "manual"]));
  });

  it("a request that is a Request, with a body, still reaches a foreign origin, and bare", async () => {
    const { client, sent } = make();
    const guarded = withClearance(client, { baseUrl: "http://localhost:3000/api" });
    await settle(guarded.fetch(new Request("https://elsewhere.example/x", { method: "POST", body: "text", redirect: "manual" })));
    expect([sent[0]?.url, sent[0]?.redirect, sent[0]?.headers.get("x-device-id")]).toEqual(["https://elsewhere.example/x", "manual", null]);
  });
});

describe("options of the client", () => {
  it.each<[string, object]>([
    ["siteKey", { siteKey: "0x4EXAMPLE" }],
    ["toString", { toString: () => "x" }],
    ["constructor", { constructor: Object }],
    ["__proto__", JSON.parse('{ "sitekey": "0x4EXAMPLE", "__proto__": {} }')],
    ["refreshBefore", { refreshBefore: Number.NaN }],
    ["watchdogMs", { watchdogMs: -1 }],
    ["origins", { origins: "https://game.example" }],
    ["container", { container: 5 }],
    ["fetch", { fetch: {} }],
    ["onState", { onState: "log" }],
    ["player", { player: "p" }],
    ["player", { player: {} }],
    ["player", { player: { load: () => null, sav() {} } }],
  ])("createClient refuses %s", (name, wrong) => {
    expect(() => Reflect.apply(createClient, undefined, [{ sitekey: "0x4EXAMPLE", ...wrong }])).toThrow(name);
    expect(() => Reflect.apply(createClient, undefined, [{ sitekey: "0x4EXAMPLE", ...wrong }])).toThrow(TypeError);
  });

  it("what is undefined is as if it were not there", () => {
    const nothing = { container: undefined, nonce: undefined, player: undefined, fetch: undefined, baseUrl: undefined };
    Reflect.apply(createClient, undefined, [{ sitekey: "0x4EXAMPLE", ...nothing }]).close();
  });

  it("calls refuse unknown members: a misspelt action would mint a token for another", async () => {
    const { client } = make();
    for (const [method, options] of [
      [client.token, { acton: "login" }],
      [client.session, { minlife: 5 }],
      [client.scores, { bord: "main" }],
      [client.submitScore, { score: 1, nmae: "Ada" }],
      [client.commit, { score: 1, bord: "main" }],
    ] as const) {
      await expect(Reflect.apply(method, undefined, [options])).rejects.toThrow(new RegExp(Object.keys(options).at(-1) ?? ""));
      await expect(Reflect.apply(method, undefined, [options])).rejects.toMatchObject({
        code: "ERR_CLIENT_CONFIG",
        cause: expect.any(TypeError),
      });
    }
  });

  it.each<[unknown, object, string]>([
    ["0x4EXAMPLE", {}, "client"],
    [{}, {}, "client"],
    [undefined, { device: "x" }, "device"],
    [undefined, { deviceId: "a b" }, "deviceId"],
    [undefined, { deviceId: 5 }, "deviceId"],
    [undefined, { origins: "https://game.example" }, "origins"],
    [undefined, { baseUrl: new URL("http://localhost:3000/api") }, "baseUrl"],
    [undefined, { fetch: "fetch" }, "fetch"],
  ])("withClearance(%j, %j) is refused: %s", (client, options, name) => {
    const real = make().client;
    expect(() => Reflect.apply(withClearance, undefined, [client ?? real, options])).toThrow(name);
    expect(() => Reflect.apply(withClearance, undefined, [client ?? real, options])).toThrow(TypeError);
  });
});
