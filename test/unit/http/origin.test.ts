import { describe, expect, it } from "vitest";
import { requireCloudflare } from "../../../src/http/origin.ts";
import type { Platform } from "../../../src/http/types.ts";
import { testGate } from "../../helpers/gate.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const from = (peer?: string, kind: Platform["kind"] = "node"): Platform => ({ kind, env: undefined, peer, waitUntil: () => undefined });
const request = (headers: Record<string, string> = {}): Request => new Request("https://game.example/", { headers });

describe("requireCloudflare", () => {
  it("by default lets peers in Cloudflare's ranges through, and Workers", () => {
    const guard = requireCloudflare();
    expect(guard(request(), from("172.64.1.1"))).toBe(true);
    expect(guard(request(), from("2606:4700::1"))).toBe(true);
    expect(guard(request(), from("::ffff:172.64.1.1"))).toBe(true);
    expect(guard(request(), from(undefined, "workers"))).toBe(true);
    for (const peer of ["203.0.113.7", "2001:db8::1", "", "junk", undefined]) expect(guard(request(), from(peer))).toBe(false);
    expect(guard(request({ "cf-connecting-ip": "172.64.1.1", "cf-ray": "x", "x-forwarded-for": "172.64.1.1" }), from("203.0.113.7"))).toBe(
      false,
    );
  });

  it("by a shared secret: the whole value, one of those in force, and no longer by address alone", () => {
    const guard = requireCloudflare({ secret: { header: "X-Origin-Secret", value: [SECRET, SECRET.toUpperCase()] } });
    expect(guard(request({ "x-origin-secret": SECRET }), from("203.0.113.7"))).toBe(true);
    expect(guard(request({ "x-origin-secret": SECRET.toUpperCase() }), from())).toBe(true);
    for (const wrong of ["", SECRET.slice(1), `${SECRET}0`, `${SECRET}, ${SECRET}`]) {
      expect(guard(request({ "x-origin-secret": wrong }), from("203.0.113.7"))).toBe(false);
    }
    // Anybody's zone at Cloudflare can point at our address.
    expect(guard(request(), from("172.64.1.1"))).toBe(false);
    expect(requireCloudflare({ ranges: "cloudflare", secret: { header: "x", value: SECRET } })(request(), from("172.64.1.1"))).toBe(true);
  });

  it("by a client certificate that our own proxy verified, and only by its word", () => {
    const guard = requireCloudflare({ mtls: { header: "x-ssl-verified", value: "SUCCESS", proxies: ["127.0.0.1/32"] } });
    expect(guard(request({ "x-ssl-verified": "SUCCESS" }), from("127.0.0.1"))).toBe(true);
    expect(guard(request({ "x-ssl-verified": "SUCCESS" }), from("203.0.113.7"))).toBe(false);
    expect(guard(request({ "x-ssl-verified": "FAILED" }), from("127.0.0.1"))).toBe(false);
    expect(guard(request(), from("127.0.0.1"))).toBe(false);
  });

  it.each([
    [{ ranges: ["0.0.0.0/0"] }],
    [{ ranges: ["nonsense"] }],
    [{ ranges: [] }],
    [{ secret: { header: "x", value: [] } }],
    [{ ranges: "cloudflare" as const, secret: { header: "x", value: [] } }],
    [JSON.parse(`{ "secret": { "headers": "x", "value": "${SECRET}" } }`)],
    [{ secret: { header: "x", value: [SECRET, ""] } }],
    [JSON.parse('{ "ranges": "172.64.0.0/13" }')],
    [{ secret: { header: "x", value: "short" } }],
    [{ secret: { header: "x y", value: SECRET } }],
    [{ mtls: { header: "x", value: "y", proxies: [] } }],
    [{ mtls: { header: "x", value: "y", proxies: ["::/0"] } }],
    [JSON.parse('{ "range": [] }')],
  ])("refuses %j", (options) => {
    expect(() => requireCloudflare(options)).toThrow(/Invalid/);
  });

  it("a proxy on a Unix socket may say that the certificate was verified, where the socket is named", () => {
    const unix = { kind: "node", env: undefined, peer: "unix:", waitUntil: () => undefined } as const;
    const verified = request({ "x-verified": "SUCCESS" });
    const mtls = (proxies: string[]): ReturnType<typeof requireCloudflare> =>
      requireCloudflare({ mtls: { header: "x-verified", value: "SUCCESS", proxies } });
    expect(mtls(["unix:"])(verified, unix)).toBe(true);
    expect(mtls(["unix:"])(request(), unix)).toBe(false);
    expect(mtls(["127.0.0.1"])(verified, unix)).toBe(false);
    expect(mtls(["unix:"])(verified, { ...unix, peer: undefined })).toBe(false);
    expect(requireCloudflare({ ranges: ["unix:"] })(request(), unix)).toBe(true);
    expect(requireCloudflare()(request(), unix)).toBe(false);
  });
});

describe("createGate({ origin })", () => {
  const origin = requireCloudflare({ secret: { header: "x-origin-secret", value: SECRET } });

  it.each(["enforce", "monitor", "off"] as const)(
    "refuses what came past Cloudflare before every route and in protect, in mode %s",
    async (mode) => {
      let spends = 0;
      const { gate, send, events, store } = testGate({ origin, mode });
      const { spend } = store;
      store.spend = (quotas) => {
        spends += 1;
        return spend(quotas);
      };
      for (const [method, path] of [
        ["GET", "/scores"],
        ["POST", "/session"],
        ["POST", "/scores"],
      ] as const) {
        const answer = await send(method, path, method === "GET" ? undefined : {});
        expect([answer.status, await answer.json()]).toEqual([403, { error: "REQUEST_DENIED" }]);
        expect(events.at(-1)).toMatchObject({ type: "high_risk_api_blocked", reason: "direct_to_origin", outcome: "deny" });
      }
      const admission = await gate.protect(request());
      expect(admission).toMatchObject({ ok: false, code: "REQUEST_DENIED" });
      expect(spends).toBe(0);
      expect((await send("GET", "/scores", undefined, { "x-origin-secret": SECRET })).status).toBe(200);
    },
  );

  it("believes Cloudflare's headers of what came through it alone", async () => {
    const { gate, events } = testGate({ origin });
    await gate.protect(request({ "x-origin-secret": SECRET, "cf-ipcountry": "DE" }));
    expect(events.at(-1)).toMatchObject({ type: "session_rejected", country: "DE" });
    await gate.protect(request({ "cf-ipcountry": "DE" }));
    expect(events.at(-1)?.country).toBeUndefined();
    const open = testGate();
    await open.gate.protect(request({ "cf-ipcountry": "DE" }));
    expect(open.events.at(-1)?.country).toBeUndefined();
  });

  it("knows the network and the country of a request on Workers", async () => {
    const { gate, events } = testGate();
    const made = request();
    Object.defineProperty(made, "cf", { value: { asn: 64500, country: "DE", botManagement: { score: 1 } } });
    await gate.protect(made);
    expect(events.at(-1)).toMatchObject({ asn: 64500, country: "DE" });
  });

  it("is a function", () => {
    expect(() => testGate({ origin: JSON.parse("{}") })).toThrow(TypeError);
  });
});
