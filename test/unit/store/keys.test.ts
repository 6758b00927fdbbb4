import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { partitionOf, rateKey, usesKey } from "../../../src/store/index.ts";
import { sha256Sync } from "../../../src/util/sha256.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("sha256Sync", () => {
  it("gives the vectors of FIPS 180-4", () => {
    expect(hex(sha256Sync(utf8("")))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(hex(sha256Sync(utf8("abc")))).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(hex(sha256Sync(utf8("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")))).toBe(
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    );
  });

  it("agrees with OpenSSL at every length around the block edges", () => {
    for (let size = 0; size < 300; size++) {
      const data = Uint8Array.from({ length: size }, (_, i) => i * 7 + size);
      expect(hex(sha256Sync(data))).toBe(createHash("sha256").update(data).digest("hex"));
    }
  });
});

/** Texts as a stranger would write them: harmless ones, separators, our own letters, surrogates, long ones. */
const text = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9._-]{1,48}$/),
  fc.stringMatching(/^[sShwpu:|{}0-9]{0,60}$/),
  fc.string({ unit: "binary", maxLength: 90 }),
  fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 }), { maxLength: 3 }).map((units) => String.fromCharCode(...units)),
);
const kind = fc.stringMatching(/^[A-Za-z0-9._-]{1,16}$/);
const call = fc.oneof(
  fc.record({ of: fc.constant("uses"), args: fc.tuple(kind, text, fc.option(text, { nil: undefined })) }),
  fc.record({ of: fc.constant("rate"), args: fc.tuple(text, fc.integer({ min: 1, max: 1e6 }), fc.array(text, { maxLength: 3 })) }),
);
type Call = typeof call extends fc.Arbitrary<infer T> ? T : never;
const keyOf = ({ args }: Call): string =>
  typeof args[1] === "number"
    ? rateKey({ name: args[0], window: args[1] }, Array.isArray(args[2]) ? args[2] : [])
    : usesKey(args[0], args[1], typeof args[2] === "string" ? args[2] : undefined);

describe("keys", () => {
  it("are at most 80 bytes of harmless characters with a partition, whatever the texts are", () => {
    fc.assert(
      fc.property(call, (one) => {
        const key = keyOf(one);
        expect(key).toMatch(/^[A-Za-z0-9._:|-]{1,80}$/);
        expect(partitionOf(key)).not.toBe("");
        expect(key.split("|").length).toBeLessThanOrEqual(2);
      }),
      { numRuns: 1000 },
    );
  });

  it("ids that differ in a high byte only have two keys: in UTF-16 the lower halves of Ł and A, and of 丠 and a space, are alike", () => {
    for (const [one, other] of [
      ["Łukasz", "Aukasz"],
      ["account ŀ", "account @"],
      ["a 丠", "a  "],
      ["\ud841", "\ud842"],
    ] as const) {
      const keys = [one, other].flatMap((id) => [
        usesKey("jti", `${id}|`),
        usesKey("jti", "id", `${id}|`),
        rateKey({ name: "r", window: 60 }, [`${id}|`]),
      ]);
      expect(new Set(keys).size).toBe(6);
    }
  });

  it("are injective: a list of arguments can be told from its key", () => {
    const seen = new Map<string, string>();
    for (const one of fc.sample(call, { numRuns: 8000, seed: 3 })) {
      // JSON tells lone surrogates apart.
      const args = JSON.stringify(one);
      const key = keyOf(one);
      expect(seen.get(key) ?? args).toBe(args);
      seen.set(key, args);
    }
    expect(seen.size).toBeGreaterThan(4000);
  });

  it("no arrangement of the same characters makes one key", () => {
    const lists = [
      ["a", "b"],
      ["a:sb"],
      ["a", "b", ""],
      ["", "a", "b"],
      ["ab"],
      ["a|b"],
      ["a", "b|rsx:60"],
      ["s", "a"],
      ["sa"],
      ["ha"],
      [],
      [""],
    ];
    const keys = lists.flatMap((subjects) =>
      [1, 60].flatMap((window) => ["x", "x:60", "h"].map((name) => rateKey({ name, window }, subjects))),
    );
    expect(new Set(keys).size).toBe(keys.length);
    const ids = ["a", "a|sb", "a:sb", "b", "", "h", "x".repeat(48), "x".repeat(49), "p".repeat(12)];
    const uses = ids.flatMap((id) => [undefined, ...ids].map((value) => usesKey("k", id, value)));
    expect(new Set(uses).size).toBe(uses.length);
    // Lone surrogates all become U+FFFD in UTF-8.
    expect(new Set(["\ud800", "\ud801", "\udfff", "\ufffd"].map((id) => usesKey("k", id))).size).toBe(4);
  });

  it("say what they count: literal parts, the rule's name and window", () => {
    expect(usesKey("jti", "kQ3vY8Zb1mN0pLr5sTuVwX")).toBe("ujti:skQ3vY8Zb1mN0pLr5sTuVwX");
    expect(usesKey("jti", "x".repeat(48))).toContain(`|s${"x".repeat(48)}`);
    expect(rateKey({ name: "scores.burst", window: 60 }, ["203.0.113.9"])).toBe("s203.0.113.9|rsscores.burst:60");
    expect(rateKey({ name: "scores.daily", window: 86_400 }, ["20010db800010000", "player-1"])).toBe(
      "s20010db800010000:splayer-1|rsscores.daily:86400",
    );
    expect(rateKey({ name: "mail", window: 60 }, ["someone@example.com", "x".repeat(500)])).toMatch(/^w[\w-]{43}\|rsmail:60$/);
    // No hash without its letter: one in 64 starts with an "s", and would be the key of a literal text.
    for (let i = 0; i < 300; i++) expect(usesKey("k", `@${i}`)).toMatch(/^uk:p[\w-]{11}\|h[\w-]{43}$/);
    expect(() => usesKey("a:b", "x")).toThrow(TypeError);
    expect(() => usesKey("", "x")).toThrow(TypeError);
  });

  it("are these, and stay these: counters of the version before go on", () => {
    const units = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();
    const sha = (text: string): string => createHash("sha256").update(units(text)).digest("base64url");
    const framed = (...texts: string[]): string => sha(texts.map((text) => `${text.length}:${text}`).join(""));
    const x = (size: number): string => "x".repeat(size);
    // 33 characters of kind and name are the most for which the id itself is the partition.
    expect(usesKey("k", x(31))).toBe(`uk:s${x(31)}`);
    expect(usesKey("k", x(32))).toBe(`uk:p${sha(x(32)).slice(0, 11)}|s${x(32)}`);
    expect(usesKey("kind-of-16-chars", x(16))).toBe(`ukind-of-16-chars:s${x(16)}`);
    expect(usesKey("kind-of-16-chars", x(17))).toBe(`ukind-of-16-chars:p${sha(x(17)).slice(0, 11)}|s${x(17)}`);
    expect(() => usesKey("kind-of-17-chars-", "x")).toThrow(new TypeError('Invalid "kind": expected 1 to 16 of A-Z a-z 0-9 . _ -'));
    // Ids that differ in the high byte of a character alone.
    expect(usesKey("k", "\u0141")).toBe(`uk:p${sha("\u0141").slice(0, 11)}|h${sha("\u0141")}`);
    expect(usesKey("k", "\u0241")).not.toBe(usesKey("k", "\u0141"));
    expect(usesKey("k", "é∀\u{1F600}")).toBe(`uk:p${sha("é∀\u{1F600}").slice(0, 11)}|h${sha("é∀\u{1F600}")}`);
    // 80 characters are the most.
    expect(usesKey("k", x(31), x(43))).toBe(`uk:s${x(31)}|s${x(43)}`);
    expect(usesKey("k", x(31), x(44))).toBe(`uk:s${x(31)}|w${framed(x(31), x(44))}`);
    expect(usesKey("k", x(32), "v")).toBe(`uk:p${sha(x(32)).slice(0, 11)}|s${x(32)}:sv`);
    expect(rateKey({ name: "n", window: 60 }, [x(48), x(22)])).toBe(`s${x(48)}:s${x(22)}|rsn:60`);
    expect(rateKey({ name: "n", window: 60 }, [x(48), x(23)])).toBe(`w${framed(x(48), x(23))}|rsn:60`);
    expect(rateKey({ name: x(30), window: 60 }, [x(48), x(48)])).toBe(`w${framed(x(48), x(48))}|rs${x(30)}:60`);
    expect(rateKey({ name: x(31), window: 60 }, [x(48), x(48)])).toBe(`w${framed(x(48), x(48), x(31), "60")}|r`);
    expect(rateKey({ name: "n", window: 60 }, [])).toBe("a|rsn:60");
    // 48 harmless characters are the most that stand as they are.
    expect(rateKey({ name: "n", window: 60 }, [x(48)])).toBe(`s${x(48)}|rsn:60`);
    expect(rateKey({ name: "n", window: 60 }, [x(49)])).toBe(`h${sha(x(49))}|rsn:60`);
    for (const odd of ["", "a b", "a\n", "ä", "a|b"]) {
      expect(rateKey({ name: odd, window: 1 }, [odd])).toBe(
        `h${sha(odd)}|rh${sha(odd)}:1`.length <= 80 ? `h${sha(odd)}|rh${sha(odd)}:1` : rateKey({ name: odd, window: 1 }, [odd]),
      );
    }
  });

  it("have their partition before the first bar", () => {
    expect(["a", "a|b", "a|b|c", "|b", "", "ab|"].map(partitionOf)).toEqual(["a", "a", "a", "", "", "ab"]);
  });

  it("share a partition where one call charges them together", () => {
    fc.assert(
      fc.property(kind, text, text, (name, id, value) => {
        expect(partitionOf(usesKey(name, id, value))).toBe(partitionOf(usesKey(name, id)));
      }),
      { numRuns: 1000 },
    );
    expect(partitionOf(rateKey({ name: "a", window: 1 }, ["1.2.3.4"]))).toBe(partitionOf(rateKey({ name: "b", window: 2 }, ["1.2.3.4"])));
  });
});
