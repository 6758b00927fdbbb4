import fc from "fast-check";
import { CompactSign, jwtVerify, SignJWT } from "jose";
import { describe, expect, it, vi } from "vitest";
import { createTokens } from "../../../src/tokens/index.ts";
import { AT, CLAIMS, codeOf, forge, HEADER, NOW, SECRET, TYP } from "./forge.ts";

const clock = (): number => NOW;
const key = new TextEncoder().encode(SECRET);
const tokens = createTokens({ secrets: SECRET, clock });
const strict = createTokens({ secrets: SECRET, issuer: "gate", audience: "game.example", clock });
const currentDate = new Date(NOW);

/** Claims that JSON can hold, under names that are not sign's own. */
const freeClaims = fc.dictionary(
  fc.string({ maxLength: 12 }).filter((name) => !["v", "iat", "exp", "iss", "aud", "key", "jti", "nbf", "__proto__"].includes(name)),
  fc.jsonValue({ maxDepth: 3 }).map((value): unknown => JSON.parse(JSON.stringify(value))),
  { maxKeys: 6 },
);
const character = fc.oneof(
  fc.constantFrom(..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n"),
  fc.string({ minLength: 1, maxLength: 1, unit: "binary" }),
);

describe("sign", () => {
  it("fills v, jti, iat, exp, iss and aud", async () => {
    const claims = await strict.verify(TYP, await strict.sign(TYP, { sub: "anna" }, { ttl: 300 }));
    expect(claims).toEqual({
      sub: "anna",
      v: 1,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      iat: AT,
      exp: AT + 300,
      iss: "gate",
      aud: "game.example",
      key: 0,
    });
    const bare = await tokens.verify(TYP, await tokens.sign(TYP, {}, { ttl: 1 }));
    expect(Object.keys(bare).sort()).toEqual(["exp", "iat", "jti", "key", "v"]);
  });

  it("gives each token a jti of its own, from the given randomness, or takes the caller's", async () => {
    const jtis = await Promise.all(
      Array.from({ length: 50 }, async () => (await tokens.verify(TYP, await tokens.sign(TYP, {}, { ttl: 9 }))).jti),
    );
    expect(new Set(jtis).size).toBe(50);
    const fixed = createTokens({ secrets: SECRET, clock, random: (size) => new Uint8Array(size).fill(255) });
    expect((await fixed.verify(TYP, await fixed.sign(TYP, {}, { ttl: 9 }))).jti).toBe("_____________________w");
    expect((await fixed.verify(TYP, await fixed.sign(TYP, { jti: "mine" }, { ttl: 9 }))).jti).toBe("mine");
  });

  it.each([0, -1, 1.5, Number.NaN, 86_401, Number.POSITIVE_INFINITY])("refuses a ttl of %s", async (ttl) => {
    await expect(tokens.sign(TYP, {}, { ttl })).rejects.toThrow(RangeError);
  });

  it("signs up to maxTtl and not beyond", async () => {
    const long = createTokens({ secrets: SECRET, clock, maxTtl: 34_560_000 });
    const token = await long.sign(TYP, {}, { ttl: 34_560_000 });
    expect(await codeOf(long.verify(TYP, token))).toBe("accepted");
    expect(await codeOf(tokens.verify(TYP, token))).toBe("ERR_TOKEN_CLAIM");
    await expect(long.sign(TYP, {}, { ttl: 34_560_001 })).rejects.toThrow(RangeError);
  });

  it.each(["v", "iat", "exp", "iss", "aud", "key"])("leaves claim %s to nobody else", async (name) => {
    await expect(tokens.sign(TYP, { [name]: 1 }, { ttl: 1 })).rejects.toThrow(TypeError);
    expect(await codeOf(tokens.verify(TYP, await tokens.sign(TYP, { [name]: undefined }, { ttl: 1 })))).toBe("accepted");
  });

  it("names the key that signs, where it has a name", async () => {
    const headerOf = async (secrets: Parameters<typeof createTokens>[0]["secrets"]): Promise<unknown> => {
      const [head = ""] = (await createTokens({ secrets, clock }).sign(TYP, {}, { ttl: 1 })).split(".");
      return JSON.parse(Buffer.from(head, "base64url").toString());
    };
    expect(await headerOf([{ kid: "new", secret: SECRET }, "o".repeat(40)])).toEqual({ alg: "HS256", typ: TYP, kid: "new" });
    expect(await headerOf([SECRET, { kid: "old", secret: "o".repeat(40) }])).toEqual({ alg: "HS256", typ: TYP });
  });

  it("takes the caller's nbf, and objects without a prototype", async () => {
    const bare: Record<string, unknown> = Object.assign(Object.create(null), { a: 1 });
    const claims = await tokens.verify(TYP, await tokens.sign(TYP, { nbf: AT + 1, bare }, { ttl: 9 }));
    expect(claims).toMatchObject({ nbf: AT + 1, bare: { a: 1 } });
  });

  it("signs up to 4096 characters, and no more", async () => {
    const sign = (pad: number): Promise<string> => tokens.sign(TYP, { jti: "j", pad: "x".repeat(pad) }, { ttl: 9 });
    expect(await sign(2943)).toHaveLength(4096);
    await expect(sign(2944)).rejects.toThrow(new RangeError("Cannot sign: 4098 characters are more than 4096"));
  });

  it("refuses what JSON would change in silence", async () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    const lossy = [
      Number.NaN,
      Number.POSITIVE_INFINITY,
      () => 1,
      Symbol("x"),
      1n,
      new Date(),
      new Map(),
      new Uint8Array(2),
      [undefined],
      { a: [{ b: Number.NaN }] },
      cyclic,
    ];
    for (const value of lossy) await expect(tokens.sign(TYP, { value }, { ttl: 1 })).rejects.toThrow(TypeError);
    for (const jti of [7, null]) await expect(tokens.sign(TYP, { jti }, { ttl: 1 })).rejects.toThrow(TypeError);
    for (const jti of ["", "j".repeat(129)]) await expect(tokens.sign(TYP, { jti }, { ttl: 1 })).rejects.toThrow(RangeError);
    await expect(tokens.sign(TYP, { nbf: "soon" }, { ttl: 1 })).rejects.toThrow(TypeError);
  });
});

describe("createTokens", () => {
  it("checks its options when it is made", () => {
    const make = (options: object) => (): unknown => createTokens({ secrets: SECRET, ...options });
    for (const options of [{ isuer: "x" }, { issuer: 5 }, { audience: ["x"] }, { clockTolerance: "5" }, { clock: 5 }, { random: {} }]) {
      expect(make(options)).toThrow(TypeError);
    }
    for (const options of [
      { issuer: "" },
      { audience: "" },
      { clockTolerance: -1 },
      { clockTolerance: 601 },
      { maxTtl: 0 },
      { maxTtl: 1.5 },
    ]) {
      expect(make(options)).toThrow(RangeError);
    }
  });

  it("refuses unknown members of a secret and of sign's options: a misspelt kid would name no key", async () => {
    expect(() => Reflect.apply(createTokens, undefined, [{ secrets: { kid: "a", secret: SECRET, alg: "none" } }])).toThrow(/"alg"/);
    const { sign } = createTokens({ secrets: SECRET });
    await expect(Reflect.apply(sign, undefined, [TYP, {}, { ttl: 60, exp: 1 }])).rejects.toThrow(/"exp"/);
  });

  it("imports a key once, not extractable", async () => {
    const spy = vi.spyOn(crypto.subtle, "importKey");
    const fresh = createTokens({ secrets: [SECRET, "o".repeat(40)], clock });
    expect(spy).not.toHaveBeenCalled();
    const token = await fresh.sign(TYP, {}, { ttl: 9 });
    for (let i = 0; i < 5; i++) await fresh.verify(TYP, token);
    expect(spy.mock.calls.map(([format, , , extractable]) => [format, extractable])).toEqual([["raw", false]]);
    spy.mockRestore();
  });

  it("answers many callers at once, each its own", async () => {
    const fresh = createTokens({ secrets: ["o".repeat(40), SECRET], clock });
    const answers = await Promise.all(
      Array.from({ length: 64 }, async (_, i) => {
        const secret = i % 2 ? SECRET : "o".repeat(40);
        const { n, key } = await fresh.verify(TYP, forge(HEADER, { ...CLAIMS, n: i }, secret));
        return [n, key];
      }),
    );
    expect(answers).toEqual(Array.from({ length: 64 }, (_, i) => [i, i % 2]));
  });

  it("remembers no header that nobody signed, and few that somebody did", async () => {
    const fresh = createTokens({ secrets: SECRET, clock });
    const spelt = (i: number): string => `{"alg":"HS256","typ":"${TYP}"}${" ".repeat(i)}`;
    for (let i = 0; i < 200; i++) expect(await codeOf(fresh.verify(TYP, forge(spelt(i), CLAIMS)))).toBe("accepted");
    // jose reads a header each time, we only those that we do not remember.
    const readings = async (header: string): Promise<number> => {
      const parse = vi.spyOn(JSON, "parse");
      await codeOf(fresh.verify(TYP, forge(header, CLAIMS)));
      const { calls } = parse.mock;
      parse.mockRestore();
      return calls.filter(([text]) => text === header).length;
    };
    expect([await readings(spelt(0)), await readings(spelt(63)), await readings(spelt(64)), await readings(spelt(199))]).toEqual([
      1, 1, 2, 2,
    ]);
    // A remembered header does not carry its trust to another kind, or to another MAC.
    expect(await codeOf(fresh.verify("gp-other+jwt", forge(spelt(0), CLAIMS)))).toBe("ERR_TOKEN_HEADER");
    expect(await codeOf(fresh.verify(TYP, forge(spelt(0), CLAIMS, "x".repeat(32))))).toBe("ERR_TOKEN_SIGNATURE");
  });
});

describe("jose is the oracle", () => {
  it("accepts what we sign", async () => {
    await fc.assert(
      fc.asyncProperty(freeClaims, fc.integer({ min: 1, max: 86_400 }), async (claims, ttl) => {
        const token = await strict.sign(TYP, claims, { ttl });
        const { payload, protectedHeader } = await jwtVerify(token, key, {
          typ: TYP,
          audience: "game.example",
          issuer: "gate",
          currentDate,
        });
        expect(payload).toEqual({ ...claims, v: 1, jti: payload.jti, iat: AT, exp: AT + ttl, iss: "gate", aud: "game.example" });
        expect(protectedHeader).toEqual(HEADER);
      }),
    );
  });

  it("signs what we accept", async () => {
    await fc.assert(
      fc.asyncProperty(freeClaims, fc.integer({ min: 1, max: 86_400 }), fc.boolean(), async (claims, ttl, several) => {
        const signer = new SignJWT(claims).setProtectedHeader({ alg: "HS256", typ: TYP }).setIssuer("gate").setJti("id").setNotBefore(AT);
        const token = await signer
          .setAudience(several ? ["x", "game.example"] : "game.example")
          .setIssuedAt(AT)
          .setExpirationTime(AT + ttl)
          .sign(key);
        expect(await strict.verify(TYP, token)).toMatchObject({ ...claims, jti: "id", iat: AT, exp: AT + ttl, key: 0 });
      }),
    );
  });

  it("rejects with us what it rejects", async () => {
    const at = (changes: object): string => forge(HEADER, { ...CLAIMS, iss: "gate", aud: "game.example", ...changes });
    const cases = [
      at({}),
      at({ exp: AT - 5 }),
      at({ exp: AT - 4 }),
      at({ nbf: AT + 5 }),
      at({ nbf: AT + 6 }),
      at({ iss: "other" }),
      at({ aud: ["other"] }),
      at({ aud: ["game.example"] }),
      at({ exp: "soon" }),
      forge({ ...HEADER, typ: "JWT" }, CLAIMS),
      forge({ ...HEADER, alg: "HS512" }, CLAIMS),
      forge(HEADER, "[]"),
      forge(HEADER, CLAIMS, "x".repeat(32)),
    ];
    const options = {
      typ: TYP,
      audience: "game.example",
      issuer: "gate",
      currentDate,
      clockTolerance: 5,
      requiredClaims: ["exp", "iat", "jti"],
    };
    for (const [i, token] of cases.entries()) {
      const theirs = await jwtVerify(token, key, options).then(
        () => true,
        () => false,
      );
      expect([i, (await codeOf(strict.verify(TYP, token))) === "accepted"]).toEqual([i, theirs]);
    }
  });

  it("is stricter than it where the checklist says so", async () => {
    const infinite = await new CompactSign(new TextEncoder().encode(`{"jti":"a","iat":${AT},"exp":1e999}`))
      .setProtectedHeader(HEADER)
      .sign(key);
    expect((await jwtVerify(infinite, key, { currentDate })).payload.exp).toBe(Number.POSITIVE_INFINITY);
    expect(await codeOf(tokens.verify(TYP, infinite))).toBe("ERR_TOKEN_CLAIM");
  });
});

describe("properties", () => {
  it("what is signed verifies, with every claim as it was", async () => {
    await fc.assert(
      fc.asyncProperty(freeClaims, fc.integer({ min: 1, max: 86_400 }), async (claims, ttl) => {
        const { v, jti, iat, exp, key: at, ...rest } = await tokens.verify(TYP, await tokens.sign(TYP, claims, { ttl }));
        expect(rest).toEqual(claims);
        expect([v, iat, exp, at]).toEqual([1, AT, AT + ttl, 0]);
      }),
    );
  });

  it("any one-character change of any segment rejects with a GatepassError", async () => {
    const named = createTokens({ secrets: { kid: "k", secret: SECRET }, clock });
    const token = await named.sign(TYP, { sub: "anna", scope: ["a", "b"] }, { ttl: 60 });
    await named.verify(TYP, token);
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), character, async (at, char) => {
        fc.pre(token[at] !== char);
        expect(await codeOf(named.verify(TYP, token.slice(0, at) + char + token.slice(at + 1)))).toMatch(/^ERR_TOKEN_/);
        expect(await codeOf(named.verify(TYP, token.slice(0, at) + char + token.slice(at)))).toMatch(/^ERR_TOKEN_/);
        expect(await codeOf(named.verify(TYP, token.slice(0, at) + token.slice(at + 1)))).toMatch(/^ERR_TOKEN_/);
      }),
      { numRuns: 1500 },
    );
    // Every place of it, not only those that chance picked.
    for (let at = 0; at < token.length; at++) {
      const char = token[at] === "A" ? "Q" : "A";
      expect(await codeOf(named.verify(TYP, token.slice(0, at) + char + token.slice(at + 1)))).toMatch(/^ERR_TOKEN_/);
    }
  });

  it("no input whatever throws anything else", async () => {
    const typed = /^(ERR_TOKEN_\w+|accepted)$/;
    const segment = fc.oneof(
      fc.base64String(),
      fc.string({ unit: "binary" }),
      fc.constantFrom("e30", "bnVsbA", "eyJhbGciOiJIUzI1NiJ9", "A".repeat(43)),
    );
    const shaped = fc.array(segment, { maxLength: 5 }).map((parts) => parts.join("."));
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.anything({ withBigInt: true, withDate: true }), fc.string({ unit: "binary" }), shaped),
        async (input) => {
          // @ts-expect-error: hostile input is not typed
          expect(await codeOf(tokens.verify(TYP, input))).toMatch(/^ERR_TOKEN_/);
        },
      ),
      { numRuns: 3000 },
    );
    // Signed by one who has the secret, but what they please.
    const members = fc.record({ alg: fc.constant("HS256"), typ: fc.constant(TYP), kid: fc.anything() }, { requiredKeys: ["alg", "typ"] });
    const claims = fc.record(
      {
        jti: fc.jsonValue(),
        iat: fc.oneof(fc.constant(AT), fc.jsonValue()),
        exp: fc.oneof(fc.constant(AT + 9), fc.jsonValue()),
        nbf: fc.jsonValue(),
        iss: fc.jsonValue(),
        aud: fc.jsonValue(),
        v: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const payload = fc.oneof(claims, fc.json(), fc.uint8Array({ maxLength: 60 }));
    await fc.assert(
      fc.asyncProperty(fc.oneof(members, fc.json()), payload, async (header, body) => {
        fc.pre(writable(header) && writable(body));
        expect(await codeOf(tokens.verify(TYP, forge(header, body)))).toMatch(typed);
      }),
      { numRuns: 2000 },
    );
  });
});

function writable(value: unknown): boolean {
  try {
    return JSON.stringify(value) !== undefined;
  } catch {
    return false;
  }
}
