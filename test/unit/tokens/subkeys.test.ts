import { createHmac, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { createSubkeys, type SubkeyPurpose } from "../../../src/tokens/index.ts";
import { hmacSha256, importHmacKey } from "../../../src/util/hmac.ts";
import rfc4231 from "../../vectors/rfc4231.json" with { type: "json" };
import { SECRET } from "./forge.ts";

const PURPOSES: SubkeyPurpose[] = ["idem/1", "jti/1", "receipt/1", "beacon/1", "bind/1", "form/1", "admin/1"];
const data = new TextEncoder().encode("a Turnstile token");
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

it.each(rfc4231.cases)("RFC 4231, case $id", async ({ key, data, mac }) => {
  const made = hex(await hmacSha256(await importHmacKey(Buffer.from(key, "hex")), Buffer.from(data, "hex")));
  expect(made.slice(0, mac.length)).toBe(mac);
});

describe("createSubkeys", () => {
  it.each(PURPOSES)("is HMAC under HKDF-SHA-256 with salt gatepass and info %s", async (purpose) => {
    const derived = new Uint8Array(hkdfSync("sha256", SECRET, "gatepass", purpose, 32));
    expect(hex(await createSubkeys(SECRET).mac(purpose, data))).toBe(createHmac("sha256", derived).update(data).digest("hex"));
  });

  it("gives each purpose and each secret keys of their own, and never the raw secret's", async () => {
    const subkeys = createSubkeys([SECRET, { kid: "old", secret: "o".repeat(40) }]);
    expect(subkeys.size).toBe(2);
    const macs = await Promise.all([0, 1].flatMap((key) => PURPOSES.map((purpose) => subkeys.mac(purpose, data, key))));
    const raw = [SECRET, "o".repeat(40)].map((secret) => createHmac("sha256", secret).update(data).digest("hex"));
    expect(new Set([...macs.map(hex), ...raw]).size).toBe(16);
    expect(hex(await subkeys.mac("jti/1", data))).toBe(hex(await createSubkeys(SECRET).mac("jti/1", data)));
    expect(hex(await subkeys.mac("jti/1", data, 1))).toBe(hex(await createSubkeys("o".repeat(40)).mac("jti/1", data)));
  });

  it("derives a key once, not extractable", async () => {
    const spy = vi.spyOn(crypto.subtle, "deriveKey");
    const subkeys = createSubkeys(SECRET);
    for (let i = 0; i < 5; i++) await subkeys.mac("bind/1", data);
    expect(spy.mock.calls.map(([, , , extractable, usages]) => [extractable, usages])).toEqual([[false, ["sign"]]]);
    spy.mockRestore();
  });

  it("takes bytes of any length, wherever they lie", async () => {
    const subkeys = createSubkeys(SECRET);
    const derived = new Uint8Array(hkdfSync("sha256", SECRET, "gatepass", "beacon/1", 32));
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(20), async (bytes, from) => {
        const part = bytes.subarray(Math.min(from, bytes.length));
        expect(hex(await subkeys.mac("beacon/1", part))).toBe(createHmac("sha256", derived).update(part).digest("hex"));
      }),
      { numRuns: 50 },
    );
  });

  it("refuses a key that the ring has not, and the secrets that tokens refuse", async () => {
    for (const key of [1, -1, 0.5, Number.NaN]) await expect(createSubkeys(SECRET).mac("jti/1", data, key)).rejects.toThrow(RangeError);
    expect(() => createSubkeys("too short")).toThrow(RangeError);
    expect(() => createSubkeys([])).toThrow(TypeError);
  });
});
