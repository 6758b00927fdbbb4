import { isIPv4, isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CLOUDFLARE_RANGES,
  canonicalIp,
  inCidr,
  ipKey,
  ipPrefix,
  ipPrefixText,
  parseCidr,
  parseHostPort,
  parseIp,
} from "../../../src/util/ip.ts";

const v4 = fc.ipV4();
const v6 = fc.ipV6();
/** What a URL parser makes of an IPv6 address: an oracle for RFC 5952. */
const urlForm = (text: string): string => new URL(`http://[${text}]/`).hostname.slice(1, -1);
const bytesOf = (text: string): number[] => [...(parseIp(text)?.bytes ?? [])];
const within = (text: string, range: string): boolean => {
  const ip = parseIp(text);
  const cidr = parseCidr(range);
  return ip !== null && cidr !== null && inCidr(ip, cidr);
};

describe("parseIp", () => {
  it("reads every IPv4 address, and writes it back", () => {
    fc.assert(fc.property(v4, (text) => canonicalIp(text) === text && bytesOf(text).join(".") === text));
  });

  it("reads every IPv6 address, and spells it as RFC 5952 does", () => {
    fc.assert(
      fc.property(v6, (text) => {
        const ip = parseIp(text);
        if (ip?.version === 4) return /^(::ffff:|64:ff9b::|0*:)/i.test(text);
        return canonicalIp(text) === urlForm(text);
      }),
    );
    // Addresses with many zero groups, which the generator above rarely makes.
    const groups = fc.array(fc.constantFrom("0", "0", "0", "1", "10", "0010", "ABCD"), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (parts) => {
        const text = parts.join(":");
        return canonicalIp(text) === urlForm(text);
      }),
    );
  });

  it("accepts what node:net accepts, and nothing more", () => {
    const piece = fc.constantFrom(
      "",
      "0",
      "1",
      "ab",
      "ffff",
      "12345",
      "g",
      ":",
      "::",
      ".",
      "1.2.3.4",
      "256",
      "01",
      "-1",
      " ",
      "%",
      "%eth0",
      "[",
      "]",
      "/",
      "\n",
      "+1",
      "0x1",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.constantFrom("", ":", "."), (pieces, glue) => {
        const text = pieces.join(glue);
        // Zone ids of odd characters are refused.
        expect(parseIp(text) !== null, text).toBe(isIPv4(text) || (isIPv6(text) && !/%.*[^\w.~-]/.test(text)));
      }),
      { numRuns: 5000 },
    );
    fc.assert(
      fc.property(fc.string(), (text) => (parseIp(text) !== null) === (isIPv4(text) || (isIPv6(text) && !/%.*[^\w.~-]/s.test(text)))),
    );
  });

  it.each([
    "",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.256",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1.2.3.4:80",
    "[::1]",
    "1::2::3",
    ":::",
    "1:2:3:4:5:6:7:8::",
    "::1/64",
    "unknown",
    "_hidden",
    "١.٢.٣.٤",
    "1".repeat(1e6),
  ])("refuses %j", (text) => {
    expect(parseIp(text)).toBeNull();
  });

  it("takes an IPv4 address that IPv6 carries as that address: one client, one bucket", () => {
    for (const text of [
      "203.0.113.7",
      "::ffff:203.0.113.7",
      "::FFFF:cb00:7107",
      "0:0:0:0:0:ffff:203.0.113.7",
      "64:ff9b::203.0.113.7",
      "64:ff9b::cb00:7107",
    ]) {
      expect(canonicalIp(text), text).toBe("203.0.113.7");
      expect(ipKey(text), text).toBe("203.0.113.7");
    }
    expect(canonicalIp("64:ff9b:1::203.0.113.7")).toBe("64:ff9b:1::cb00:7107");
    fc.assert(fc.property(v4, (text) => canonicalIp(`::ffff:${text}`) === text && canonicalIp(`64:ff9b::${text}`) === text));
  });

  it("drops a zone id", () => {
    expect(canonicalIp("fe80::1%eth0")).toBe("fe80::1");
    expect(canonicalIp("1.2.3.4%eth0")).toBeNull();
    expect(canonicalIp("fe80::1%")).toBeNull();
  });
});

describe("parseHostPort", () => {
  it.each([
    ["203.0.113.7", { host: "203.0.113.7" }],
    ["203.0.113.7:8080", { host: "203.0.113.7", port: 8080 }],
    ["2001:db8::1", { host: "2001:db8::1" }],
    ["[2001:db8::1]", { host: "2001:db8::1" }],
    ["[2001:db8::1]:443", { host: "2001:db8::1", port: 443 }],
    ["[fe80::1%eth0]:1", { host: "fe80::1%eth0", port: 1 }],
    ["unknown", { host: "unknown" }],
  ])("reads %j", (text, expected) => {
    expect(parseHostPort(text)).toEqual(expected);
  });

  it.each(["", ":", ":80", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:80:", "[::1", "::1]", "[::1]80", "[1.2.3.4]", "[]", "[::1]:x", "[[::1]]"])(
    "refuses %j, or leaves no address in it",
    (text) => {
      const found = parseHostPort(text);
      expect(found === null || parseIp(found.host) === null).toBe(true);
    },
  );
});

describe("keys", () => {
  it("are an IPv4 address and its /24, an IPv6 /64 and /48, in characters that a key may have", () => {
    expect([ipKey("203.0.113.7"), ipPrefix("203.0.113.7"), ipPrefixText("203.0.113.7")]).toEqual([
      "203.0.113.7",
      "203.0.113",
      "203.0.113.0/24",
    ]);
    expect([ipKey("2001:db8:1:2:3::4"), ipPrefix("2001:db8:1:2:3::4"), ipPrefixText("2001:db8:1:2:3::4")]).toEqual([
      "20010db800010002",
      "20010db80001",
      "2001:db8:1::/48",
    ]);
    fc.assert(
      fc.property(fc.oneof(v4, v6), (text) => [ipKey(text), ipPrefix(text)].every((key) => /^[A-Za-z0-9._-]{1,48}$/.test(key ?? ""))),
    );
    expect([ipKey("x"), ipPrefix("x"), ipPrefixText("x")]).toEqual([undefined, undefined, undefined]);
  });

  it("are equal for two addresses of one network, and only for them", () => {
    fc.assert(
      fc.property(v6, v6, fc.boolean(), (a, other, near) => {
        if (parseIp(a)?.version !== 6) return true;
        const bytes = bytesOf(a);
        const b = near ? [...bytes.slice(0, 8), ...bytesOf(other).slice(8)] : bytesOf(other);
        if (b.length !== 16) return true;
        const text = Array.from({ length: 8 }, (_, i) => (((b[i * 2] ?? 0) << 8) | (b[i * 2 + 1] ?? 0)).toString(16)).join(":");
        if (parseIp(text)?.version !== 6) return true;
        const same = bytes.slice(0, 8).every((byte, i) => byte === b[i]);
        return (ipKey(a) === ipKey(text)) === same;
      }),
    );
  });

  it("in events, name no host", () => {
    fc.assert(
      fc.property(fc.oneof(v4, v6), (text) => {
        const range = ipPrefixText(text) ?? "";
        return within(text, range) && (range.endsWith("/24") || range.endsWith("/48"));
      }),
    );
  });
});

describe("ranges", () => {
  it("contain what their leading bits say, on every boundary", () => {
    fc.assert(
      fc.property(fc.tuple(fc.oneof(v4, v6), fc.oneof(v4, v6), fc.nat(128)), ([a, b, length]) => {
        const x = parseIp(a);
        const y = parseIp(b);
        if (!x || !y) return false;
        const bits = Math.min(length, x.bytes.length * 8);
        const big = (bytes: Uint8Array): bigint => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
        const shift = BigInt(x.bytes.length * 8 - bits);
        const expected = x.version === y.version && big(x.bytes) >> shift === big(y.bytes) >> shift;
        return inCidr(y, { ...x, bits }) === expected && inCidr(x, { ...x, bits });
      }),
    );
  });

  it("are read strictly", () => {
    expect(within("10.200.3.4", "10.0.0.0/8")).toBe(true);
    expect(within("11.0.0.1", "10.0.0.0/8")).toBe(false);
    expect(within("192.0.2.1", "192.0.2.1")).toBe(true);
    expect(within("::ffff:10.1.1.1", "10.0.0.0/8")).toBe(true);
    expect(within("10.1.1.1", "::ffff:10.0.0.0/104")).toBe(true);
    expect(within("2001:db8::1", "2001:db8::/32")).toBe(true);
    expect(within("10.0.0.1", "::/0")).toBe(false);
    for (const text of [
      "",
      "/8",
      "10.0.0.0/",
      "10.0.0.0/33",
      "10.0.0.0/08",
      "10.0.0.0/-1",
      "10.0.0.0/8/8",
      "::/129",
      "10.0.0/8",
      "fe80::%eth0/10",
      "10.0.0.0/8 ",
    ])
      expect(parseCidr(text), text).toBeNull();
  });

  it("of Cloudflare are all readable", () => {
    expect(CLOUDFLARE_RANGES).toHaveLength(22);
    for (const range of CLOUDFLARE_RANGES) expect(parseCidr(range), range).not.toBeNull();
    expect(CLOUDFLARE_RANGES.some((range) => within("104.16.1.1", range))).toBe(true);
    expect(CLOUDFLARE_RANGES.some((range) => within("203.0.113.7", range))).toBe(false);
  });
});
