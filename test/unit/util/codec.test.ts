import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64url, encodeBase64url } from "../../../src/util/base64url.ts";
import { concatBytes, decodeUtf8, lp, timingSafeEqual, u32be, u48be, utf8 } from "../../../src/util/bytes.ts";
import { sha256 } from "../../../src/util/hmac.ts";
import { isJsonObject, parseJsonObject } from "../../../src/util/json.ts";
import { randomBytes, randomId, uuidFromBytes } from "../../../src/util/random.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

describe("base64url", () => {
  it("has the vectors of RFC 4648, section 10", () => {
    const vectors = { "": "", f: "Zg", fo: "Zm8", foo: "Zm9v", foob: "Zm9vYg", fooba: "Zm9vYmE", foobar: "Zm9vYmFy" };
    for (const [plain, coded] of Object.entries(vectors)) {
      expect(encodeBase64url(utf8(plain))).toBe(coded);
      expect(decodeBase64url(coded)).toEqual(utf8(plain));
    }
    expect(encodeBase64url(new Uint8Array([0xfb, 0xff, 0xbf]))).toBe("-_-_");
  });

  it("is Node's, both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const text = Buffer.from(bytes).toString("base64url");
        expect(encodeBase64url(bytes)).toBe(text);
        expect(decodeBase64url(text)).toEqual(new Uint8Array(bytes));
      }),
    );
  });

  it("has one spelling for each byte string: whatever decodes encodes back to the same text", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...ALPHABET), maxLength: 12 }), (text) => {
        const bytes = decodeBase64url(text);
        if (bytes) expect(encodeBase64url(bytes)).toBe(text);
        else expect(text.length % 4 === 1 || Buffer.from(text, "base64url").toString("base64url") !== text).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each(["A", "AAAAA", "Zg==", "Zh", "Zm9", "Zm+v", "Zm/v", "Zm 9v", "Zm9v\n", "Zm9\u0130", "Zm9\ud83d"])("refuses %j", (text) => {
    expect(decodeBase64url(text)).toBeNull();
  });
});

describe("bytes", () => {
  it("decodes valid UTF-8 only, and keeps a byte order mark, which the default would swallow", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(decodeUtf8(utf8(text))).toBe(text);
      }),
    );
    expect(decodeUtf8(new Uint8Array([0xef, 0xbb, 0xbf, 0x41]))).toBe("\ufeffA");
    for (const bytes of [[0xff], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]]) {
      expect(decodeUtf8(new Uint8Array(bytes))).toBeNull();
    }
    expect(decodeUtf8(utf8("still works"))).toBe("still works");
  });

  it("writes numbers of fixed width", () => {
    expect([...u32be(0x01020304)]).toEqual([1, 2, 3, 4]);
    expect([...u32be(0xffffffff)]).toEqual([255, 255, 255, 255]);
    expect([...u48be(Date.UTC(2026, 10, 21))]).toEqual([...Buffer.from(Date.UTC(2026, 10, 21).toString(16).padStart(12, "0"), "hex")]);
    expect([...u48be(2 ** 48 - 1)]).toEqual([255, 255, 255, 255, 255, 255]);
    for (const value of [-1, 1.5, Number.NaN, 2 ** 48]) expect(() => u48be(value)).toThrow(RangeError);
    expect(() => u32be(2 ** 32)).toThrow(RangeError);
  });

  it("joins parts so that no two lists of parts are alike", () => {
    expect([...lp("ab")]).toEqual([0, 0, 0, 2, 97, 98]);
    expect([...lp(new Uint8Array(0))]).toEqual([0, 0, 0, 0]);
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 }),
        fc.array(fc.string({ maxLength: 4 }), { maxLength: 4 }),
        (a, b) => {
          const same = JSON.stringify(a) === JSON.stringify(b);
          expect(Buffer.compare(concatBytes(...a.map(lp)), concatBytes(...b.map(lp))) === 0).toBe(same);
        },
      ),
    );
    expect(concatBytes().length).toBe(0);
  });

  it("compares byte strings, of any lengths", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 6, max: 2 }), fc.uint8Array({ maxLength: 6, max: 2 }), (a, b) => {
        expect(timingSafeEqual(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
      { numRuns: 500 },
    );
    expect(timingSafeEqual(new Uint8Array([1]), new Uint8Array([1, 0]))).toBe(false);
    expect(timingSafeEqual(new Uint8Array([1, 0]), new Uint8Array([1]))).toBe(false);
    expect(timingSafeEqual(new Uint8Array([256]), new Uint8Array([0]))).toBe(true);
  });

  it("hashes", async () => {
    expect(Buffer.from(await sha256(utf8("abc"))).toString("hex")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });
});

describe("randomness", () => {
  it("makes ids of 16 bytes", () => {
    expect(randomBytes(7).length).toBe(7);
    expect(randomId((size) => new Uint8Array(size).fill(1))).toBe("AQEBAQEBAQEBAQEBAQEBAQ");
    const ids = Array.from({ length: 200 }, () => randomId());
    expect(new Set(ids).size).toBe(200);
    for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
  });

  it("shapes bytes as a version 4 UUID, the same bytes the same", () => {
    expect(uuidFromBytes(new Uint8Array(16))).toBe("00000000-0000-4000-8000-000000000000");
    expect(uuidFromBytes(new Uint8Array(32).fill(255))).toBe("ffffffff-ffff-4fff-bfff-ffffffffffff");
    expect(uuidFromBytes(Uint8Array.from({ length: 16 }, (_, i) => i))).toBe("00010203-0405-4607-8809-0a0b0c0d0e0f");
    expect(() => uuidFromBytes(new Uint8Array(15))).toThrow(RangeError);
  });
});

describe("JSON", () => {
  it("gives objects and null for everything else, and never throws", () => {
    expect(parseJsonObject('{"a":[1],"a":2}')).toEqual({ a: 2 });
    for (const text of ["", "[]", "1", "null", '"x"', "{", "{}{}", "\ufeff{}", "{'a':1}"]) expect(parseJsonObject(text)).toBeNull();
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), (text) => {
        const value = parseJsonObject(text);
        expect(value === null || isJsonObject(value)).toBe(true);
      }),
    );
    expect(parseJsonObject(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`)).not.toBeUndefined();
  });

  it("lets a member called __proto__ change nothing", () => {
    const value = parseJsonObject('{"__proto__":{"admin":true}}');
    expect(value?.["admin"]).toBeUndefined();
    expect(Object.prototype).not.toHaveProperty("admin");
  });
});
