import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clientAddress, detectPlatform, watchSingleAddress } from "../../../src/http/index.ts";
import type { ClientIpOption, Platform } from "../../../src/http/types.ts";

const platform = (peer: string | undefined, kind: Platform["kind"] = "node"): Platform => ({
  kind,
  env: undefined,
  peer,
  waitUntil: () => undefined,
});
const request = (headers: HeadersInit = {}): Request => new Request("http://game.example/", { headers });
const find = (option: ClientIpOption | undefined, peer: string | undefined, headers: HeadersInit = {}): string | undefined =>
  clientAddress(option)(request(headers), platform(peer)).address;

describe("the peer", () => {
  it("counts alone, whatever a header claims", () => {
    const spoofed = {
      "x-forwarded-for": "10.0.0.1",
      forwarded: "for=10.0.0.1",
      "cf-connecting-ip": "10.0.0.1",
      "x-real-ip": "10.0.0.1",
      "true-client-ip": "10.0.0.1",
    };
    for (const option of [undefined, "socket"] as const) expect(find(option, "203.0.113.7", spoofed)).toBe("203.0.113.7");
    expect(find(undefined, undefined, spoofed)).toBeUndefined();
    expect(find(undefined, "::ffff:203.0.113.7")).toBe("203.0.113.7");
  });

  it("gives the keys of limits and the prefix for events", () => {
    expect(clientAddress(undefined)(request(), platform("2001:db8:1:2:3::4"))).toEqual({
      address: "2001:db8:1:2:3::4",
      ip: "20010db800010002",
      ipPrefix: "20010db80001",
      ipPrefixText: "2001:db8:1::/48",
    });
    expect(clientAddress(undefined)(request(), platform("garbage"))).toEqual({
      address: undefined,
      ip: undefined,
      ipPrefix: undefined,
      ipPrefixText: undefined,
    });
  });
});

describe("cloudflare", () => {
  const header = { "cf-connecting-ip": "198.51.100.9" };

  it("believes CF-Connecting-IP from the edge only: an origin reached directly would let everybody choose an address", () => {
    expect(find("cloudflare", "104.16.0.1", header)).toBe("198.51.100.9");
    expect(find("cloudflare", "2606:4700::1", header)).toBe("198.51.100.9");
    expect(find("cloudflare", "203.0.113.7", header)).toBe("203.0.113.7");
    expect(find("cloudflare", undefined, header)).toBeUndefined();
  });

  it("knows nobody by a missing, a malformed or a doubled header", () => {
    expect(find("cloudflare", "104.16.0.1")).toBeUndefined();
    expect(find("cloudflare", "104.16.0.1", { "cf-connecting-ip": "x" })).toBeUndefined();
    expect(find("cloudflare", "104.16.0.1", { "cf-connecting-ip": "10.0.0.1, 198.51.100.9" })).toBeUndefined();
  });

  it("is the default on Workers, where another Worker is nobody", () => {
    const onWorkers = (address: string): string | undefined => {
      const incoming = Object.assign(request({ "cf-connecting-ip": address }), { cf: {} });
      return clientAddress(undefined)(incoming, detectPlatform(incoming, { DB: 1 }, { waitUntil: () => undefined })).address;
    };
    expect(onWorkers("198.51.100.9")).toBe("198.51.100.9");
    expect(onWorkers("2a06:98c0:3600::103")).toBeUndefined();
    expect(onWorkers("2a06:98c0:3600:0:0:0:0:103")).toBeUndefined();
    expect(find("cloudflare", "104.16.0.1", { "cf-connecting-ip": "2a06:98c0:3600::103" })).toBeUndefined();
  });
});

describe("trusted proxies", () => {
  const option: ClientIpOption = { trustedProxies: ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"] };

  it("are walked from the right to the first that is not ours", () => {
    expect(find(option, "10.0.0.1", { "x-forwarded-for": "203.0.113.7" })).toBe("203.0.113.7");
    expect(find(option, "10.0.0.1", { "x-forwarded-for": "1.1.1.1, 203.0.113.7, 10.9.9.9,192.0.2.1" })).toBe("203.0.113.7");
    expect(find(option, "::ffff:10.0.0.1", { "x-forwarded-for": "203.0.113.7:4711" })).toBe("203.0.113.7");
    expect(find(option, "10.0.0.1", { "x-forwarded-for": "[2001:db8::7]:80, 2001:db8:ffff::1" })).toBe("2001:db8::7");
  });

  it("are asked across all header lines, in their order", () => {
    const headers = new Headers();
    headers.append("x-forwarded-for", "1.1.1.1");
    headers.append("x-forwarded-for", "203.0.113.7, 10.0.0.2");
    expect(find(option, "10.0.0.1", headers)).toBe("203.0.113.7");
  });

  it("have no say when the peer is a stranger", () => {
    expect(find(option, "203.0.113.9", { "x-forwarded-for": "1.1.1.1" })).toBe("203.0.113.9");
    expect(find(option, undefined, { "x-forwarded-for": "1.1.1.1" })).toBeUndefined();
  });

  it("that name nobody leave the client unknown: the entry further left is the client's own text", () => {
    for (const entry of ["unknown", "_hidden", "", "999.1.1.1", "1.2.3.4:99999", "[::1", "a b"]) {
      expect(find(option, "10.0.0.1", { "x-forwarded-for": `1.1.1.1, ${entry}, 10.0.0.2` }), entry).toBeUndefined();
    }
  });

  it("that are all ours name the first of them", () => {
    expect(find(option, "10.0.0.1", { "x-forwarded-for": "10.1.1.1, 10.2.2.2" })).toBe("10.1.1.1");
    expect(find(option, "10.0.0.1")).toBe("10.0.0.1");
  });

  it("cannot be talked into another client by what stands left of their own entry", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.ipV4(), fc.constantFrom('"', ",", "for=", ";", "\\")), { maxLength: 8 }), (parts) => {
        const claim = parts.join(",").replace(/[^\x21-\x7e]/g, " ");
        const xff = find(option, "10.0.0.1", { "x-forwarded-for": `${claim}, 203.0.113.7, 10.0.0.2` });
        const forwarded = find({ trustedProxies: ["10.0.0.0/8"], source: "forwarded" }, "10.0.0.1", {
          forwarded: `${claim}, for=203.0.113.7, for=10.0.0.2`,
        });
        return xff === "203.0.113.7" && forwarded === "203.0.113.7";
      }),
    );
  });

  it("speak RFC 7239 when told so, and then only that", () => {
    const rfc: ClientIpOption = { trustedProxies: ["10.0.0.0/8"], source: "forwarded" };
    const of = (forwarded: string): string | undefined => find(rfc, "10.0.0.1", { forwarded, "x-forwarded-for": "9.9.9.9" });
    expect(of("for=203.0.113.7")).toBe("203.0.113.7");
    expect(of('For="[2001:db8:cafe::17]:4711"')).toBe("2001:db8:cafe::17");
    expect(of("for=192.0.2.60;proto=http;by=203.0.113.43")).toBe("192.0.2.60");
    expect(of('for=1.1.1.1, for="203.0.113.7:80";host="a,b;for=9.9.9.9", for=10.0.0.2; proto=https')).toBe("203.0.113.7");
    expect(of('for=", for="[2001:db8::1]"')).toBe("2001:db8::1");
    for (const bad of [
      "for=unknown",
      "for=_x",
      "proto=https",
      "for=1.1.1.1;for=2.2.2.2",
      "for=",
      "203.0.113.7",
      'for="203.0.113.7',
      "for=2001:db8::1 x",
    ]) {
      expect(of(`for=8.8.8.8, ${bad}`), bad).toBeUndefined();
    }
    expect(find(option, "10.0.0.1", { forwarded: "for=9.9.9.9" })).toBe("10.0.0.1");
  });

  it.each([
    [{ trustedProxies: [] }],
    [{ trustedProxies: ["10.0.0.0/40"] }],
    [{ trustedProxies: ["proxy.internal"] }],
    [{ trustedProxies: ["0.0.0.0/0"] }],
    [{ trustedProxies: ["::/0"] }],
    [{ header: "not a header" }],
  ])("are checked at creation: %j", (bad) => {
    expect(() => clientAddress(bad)).toThrow(TypeError);
  });

  it("other options are refused as well", () => {
    for (const bad of ["proxy", {}, null, 7]) expect(() => Reflect.apply(clientAddress, undefined, [bad])).toThrow(TypeError);
  });
});

describe("a header or a function of the application's", () => {
  it("gives one address or none", () => {
    expect(find({ header: "fly-client-ip" }, undefined, { "fly-client-ip": "203.0.113.7" })).toBe("203.0.113.7");
    expect(find({ header: "x-real-ip" }, "10.0.0.1", { "x-real-ip": "1.1.1.1, 203.0.113.7" })).toBeUndefined();
    expect(find({ header: "x-real-ip" }, "10.0.0.1")).toBeUndefined();
    expect(find((_request, info) => info.peer, "203.0.113.7")).toBe("203.0.113.7");
    expect(find(() => "::ffff:1.2.3.4", undefined)).toBe("1.2.3.4");
    expect(find(() => undefined, "203.0.113.7")).toBeUndefined();
    expect(find(() => "somebody", "203.0.113.7")).toBeUndefined();
  });
});

describe("a Unix socket", () => {
  const option: ClientIpOption = { trustedProxies: ["unix:", "10.0.0.0/8"] };
  const spoofed = { "x-forwarded-for": "192.0.2.99, 203.0.113.7" };

  it("is trusted only where it is named, and only where the platform says that the peer is one", () => {
    expect(find(option, "unix:", spoofed)).toBe("203.0.113.7");
    expect(find({ trustedProxies: ["10.0.0.0/8"] }, "unix:", spoofed)).toBeUndefined();
    for (const other of [undefined, "socket", "cloudflare"] as const) expect(find(other, "unix:", spoofed)).toBeUndefined();
    // No address is not a Unix socket: a client that hung up has none either.
    for (const peer of [undefined, "", "unix", "unix:/run/app.sock", "UNIX:", "unknown"])
      expect(find(option, peer, spoofed)).toBeUndefined();
    expect(find(option, "198.51.100.1", spoofed)).toBe("198.51.100.1");
  });

  it("a proxy behind another proxy's Unix socket appends unix:, which is passed over from the right", () => {
    const from = (header: string, trustedProxies = ["unix:"]): string | undefined =>
      find({ trustedProxies }, "unix:", { "x-forwarded-for": header });
    expect(from("192.0.2.99, 203.0.113.7, unix:")).toBe("203.0.113.7");
    expect(from("192.0.2.99, 203.0.113.7, unix:, 10.1.2.3", ["unix:", "10.0.0.0/8"])).toBe("203.0.113.7");
    expect(from("unix:, 203.0.113.7")).toBe("203.0.113.7");
    for (const header of ["unix:", "unix:, unix:", "203.0.113.7, unknown", "203.0.113.7, unix:/x", ""])
      expect(from(header)).toBeUndefined();
    // Where it is not trusted nothing is passed over.
    expect(find({ trustedProxies: ["10.0.0.0/8"] }, "10.0.0.1", { "x-forwarded-for": "192.0.2.99, unix:" })).toBeUndefined();
    expect(find({ trustedProxies: ["unix:"], source: "forwarded" }, "unix:", { forwarded: 'for=192.0.2.99, for="203.0.113.7:4711"' })).toBe(
      "203.0.113.7",
    );
  });

  it("is unknown where the proxy sent no header", () => {
    expect(find(option, "unix:")).toBeUndefined();
  });

  it("is told to a function of the application", () => {
    expect(
      find((incoming, { peer }) => (peer === "unix:" ? (incoming.headers.get("x-real-ip") ?? "") : peer), "unix:", {
        "x-real-ip": "203.0.113.7",
      }),
    ).toBe("203.0.113.7");
  });

  it.each([["unix"], ["unix:/run/app.sock"], ["UNIX:"], [" unix:"]])("is written unix: and nothing else: %j is refused", (entry) => {
    expect(() => clientAddress({ trustedProxies: [entry] })).toThrow(/"clientIp.trustedProxies": ".*" is no CIDR \(nor "unix:"\)/);
  });
});

describe("detectPlatform", () => {
  it("reads Bun's server, Deno's info and the node adapter", () => {
    const incoming = request();
    const server = { requestIP: (asked: Request) => (asked === incoming ? { address: "203.0.113.7", port: 1 } : null) };
    expect(detectPlatform(incoming, server)).toMatchObject({ kind: "bun", peer: "203.0.113.7" });
    expect(detectPlatform(request(), server)).toMatchObject({ kind: "bun", peer: undefined });
    expect(detectPlatform(incoming, { remoteAddr: { transport: "tcp", hostname: "203.0.113.7", port: 1 } })).toMatchObject({
      kind: "deno",
      peer: "203.0.113.7",
    });
    // A Unix socket is said to be one by the runtime itself, never guessed from a missing address.
    expect(detectPlatform(incoming, { remoteAddr: { transport: "unix", path: "/x" } })).toMatchObject({ kind: "deno", peer: "unix:" });
    expect(detectPlatform(incoming, { remoteAddr: { transport: "tcp" } })).toMatchObject({ kind: "deno", peer: undefined });
    expect(detectPlatform(request(), { ...server, address: "/run/app.sock" })).toMatchObject({ kind: "bun", peer: "unix:" });
    expect(detectPlatform(request(), { ...server, address: { address: "::", port: 80 } })).toMatchObject({ kind: "bun", peer: undefined });
    expect(detectPlatform(incoming, { peer: "203.0.113.7" })).toMatchObject({ kind: "node", peer: "203.0.113.7" });
    expect(detectPlatform(incoming, { peer: undefined })).toMatchObject({ kind: "node", peer: undefined });
    for (const second of [undefined, null, 7, "x", {}])
      expect(detectPlatform(incoming, second)).toMatchObject({ kind: "unknown", peer: undefined, env: second });
  });

  it("knows Workers by what no request and no look-alike brings", () => {
    const env = { peer: "1.1.1.1", remoteAddr: "x" };
    const spoofed = request({ "cf-connecting-ip": "198.51.100.9", cf: "x" });
    const ctx = { waitUntil: () => undefined };
    expect(detectPlatform(spoofed, {}, ctx)).toMatchObject({ kind: "unknown", peer: undefined });
    expect(detectPlatform(Object.assign(spoofed, { cf: { country: "DE" } }), env, ctx)).toMatchObject({
      kind: "workers",
      env,
      peer: "198.51.100.9",
    });
  });

  it("hands work to the platform as its method, and takes its rejection", async () => {
    const context = {
      taken: 0,
      waitUntil(promise: Promise<unknown>) {
        this.taken += 1;
        void promise;
      },
    };
    detectPlatform(request(), {}, context).waitUntil(Promise.reject(new Error("late")));
    detectPlatform(request(), undefined, undefined).waitUntil(Promise.reject(new Error("late")));
    await new Promise((resolve) => setImmediate(resolve));
    expect(context.taken).toBe(1);
  });
});

describe("watchSingleAddress", () => {
  const HOUR = 3_600_000;
  /** One request a second; which of them raised the alarm. */
  const run = (
    count: number,
    of: (i: number) => { address?: string; headers?: HeadersInit; player?: string; url?: string },
    { published = false, every = 1000 } = {},
  ): number[] => {
    let now = 0;
    const watch = watchSingleAddress(() => now, published);
    return Array.from({ length: count }, (_, i) => {
      now = i * every;
      const { address = "10.0.0.1", headers = {}, player, url = "https://game.example/" } = of(i);
      return watch(new Request(url, { headers }), address, player) ? i : -1;
    }).filter((i) => i >= 0);
  };

  it("warns when all clients come from one address and say they were forwarded for many", () => {
    for (const name of ["x-forwarded-for", "forwarded", "cf-connecting-ip"]) {
      expect(
        run(250, (i) => ({ headers: { [name]: `203.0.113.${i}` } })),
        name,
      ).toEqual([9]);
    }
  });

  it("warns of many players behind one address that says nothing of them", () => {
    expect(run(250, (i) => ({ player: `p${i}` }))).toEqual([49]);
  });

  it("warns again while it lasts, but never twice in an hour, whenever the hour began", () => {
    expect(run(3 * 3600, (i) => ({ player: `p${i}` }))).toEqual([49, 49 + 3600, 49 + 2 * 3600].map((i, n) => i + (n > 0 ? 49 * n : 0)));
    const late = run(10_000, (i) => ({ player: i < 3550 ? "one" : `p${i}` }));
    for (const [n, i] of late.entries()) if (n > 0) expect(i - (late[n - 1] ?? 0)).toBeGreaterThanOrEqual(HOUR / 1000);
    expect(late.length).toBeGreaterThan(1);
  });

  it("is silent for one client, for several addresses, and for what one household or somebody at work does", () => {
    expect(run(1000, () => ({ headers: { "x-forwarded-for": "203.0.113.1" }, player: "p" }))).toEqual([]);
    expect(run(1000, (i) => ({ address: `10.0.0.${i % 2}`, headers: { "x-forwarded-for": `203.0.113.${i}` }, player: `p${i}` }))).toEqual(
      [],
    );
    expect(run(1000, (i) => ({ headers: { "x-forwarded-for": `192.168.0.${i % 9}` }, player: `p${i % 49}` }))).toEqual([]);
    // Forty reloads an hour, all day long, each a new player.
    expect(run(1000, (i) => ({ player: `p${i}` }), { every: HOUR / 40 })).toEqual([]);
    expect(run(1000, () => ({}))).toEqual([]);
  });

  it("is silent while a page on this machine is worked on, unless it is published under another name", () => {
    for (const url of ["http://localhost:3000/", "http://127.0.0.1:3000/api", "http://[::1]:8787/", "http://game.localhost/"]) {
      expect(
        run(250, (i) => ({ url, player: `p${i}` })),
        url,
      ).toEqual([]);
      expect(run(250, (i) => ({ url, player: `p${i}` }), { published: true })).toEqual([49]);
    }
    expect(run(250, (i) => ({ url: "https://localhost.example/", player: `p${i}` }))).toEqual([49]);
  });

  it("starts anew each hour: a health check from elsewhere mutes it for that hour only", () => {
    expect(run(3700, (i) => ({ address: i === 0 ? "10.0.0.2" : "10.0.0.1", player: `p${i}` }))).toEqual([3649]);
  });

  it("does not hold what strangers send without end", () => {
    const long = "x".repeat(8000);
    expect(run(9, (i) => ({ headers: { "x-forwarded-for": `${i}${long}` } }))).toEqual([]);
    expect(run(20, (i) => ({ headers: { "x-forwarded-for": `${long}${i}` } }))).toEqual([]);
  });
});
