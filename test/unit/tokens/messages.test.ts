import { expect, it } from "vitest";
import { createSubkeys, createTokens, type Secret } from "../../../src/tokens/index.ts";
import { AT, CLAIMS, forge, HEADER, NOW, SECRET, TYP } from "./forge.ts";

const clock = (): number => NOW;
const tokens = createTokens({ secrets: SECRET, clock });
const strict = createTokens({ secrets: SECRET, issuer: "gate", audience: "game.example", clock });

it.each<[secrets: unknown, error: Error]>([
  [[], new TypeError('Invalid "secrets": expected at least one')],
  [42, new TypeError('Invalid "secrets": expected text or bytes')],
  [null, new TypeError('Invalid "secrets": expected text or bytes')],
  [{ kid: "a", secret: 7 }, new TypeError('Invalid "secrets": expected text or bytes')],
  [`${SECRET}\n`, new RangeError('Invalid "secrets": white space at an end')],
  [`${SECRET}\ud800`, new RangeError('Invalid "secrets": not well-formed text')],
  ["x".repeat(31), new RangeError('Invalid "secrets": expected at least 32 bytes, got 31')],
  [{ kid: "", secret: SECRET }, new RangeError('Invalid "kid": expected 1 to 128 characters')],
  [{ kid: "k".repeat(129), secret: SECRET }, new RangeError('Invalid "kid": expected 1 to 128 characters')],
  [{ kid: 7, secret: SECRET }, new RangeError('Invalid "kid": expected 1 to 128 characters')],
  [
    [
      { kid: "a", secret: SECRET },
      { kid: "a", secret: "o".repeat(40) },
    ],
    new RangeError('Invalid "secrets": two have the same kid'),
  ],
])("says what is wrong with the secrets %j", (secrets, error) => {
  // What a caller without types may pass.
  const given = secrets as Secret;
  expect(() => createTokens({ secrets: given })).toThrow(error);
  expect(() => createSubkeys(given)).toThrow(error);
});

it("takes a kid of 1 and of 128 characters, and bytes of exactly 32", () => {
  for (const kid of ["k", "k".repeat(128)]) expect(() => createTokens({ secrets: { kid, secret: SECRET } })).not.toThrow();
  for (const secret of ["x".repeat(32), new Uint8Array(32)]) expect(() => createTokens({ secrets: secret })).not.toThrow();
});

it.each<[options: object, message: string]>([
  [{ issuer: 5 }, "issuer"],
  [{ audience: 5 }, "audience"],
  [{ clockTolerance: 601 }, "clockTolerance"],
  [{ maxTtl: 0 }, "maxTtl"],
  [{ clock: 5 }, "clock"],
  [{ random: 5 }, "random"],
  [{ isuer: "x" }, 'createTokens": unknown member "isuer'],
])("names the bad option of %j", (options, message) => {
  expect(() => createTokens({ secrets: SECRET, ...options })).toThrow(`"${message}"`);
});

it.each<[token: string, code: string, message: string]>([
  ["x", "ERR_TOKEN_MALFORMED", "it is malformed"],
  [forge("[]", CLAIMS), "ERR_TOKEN_MALFORMED", "it is malformed"],
  [forge(HEADER, "[]"), "ERR_TOKEN_MALFORMED", "it is malformed"],
  [forge({ ...HEADER, crit: [] }, CLAIMS), "ERR_TOKEN_HEADER", "its header is not one of ours"],
  [forge({ ...HEADER, kid: 5 }, CLAIMS), "ERR_TOKEN_HEADER", "its header is not one of ours"],
  [forge({ ...HEADER, typ: "JWT" }, CLAIMS), "ERR_TOKEN_HEADER", "it is of another kind"],
  [forge({ ...HEADER, kid: "k" }, CLAIMS), "ERR_TOKEN_HEADER", "its key is unknown"],
  [forge(HEADER, CLAIMS, "o".repeat(40)), "ERR_TOKEN_SIGNATURE", "its signature is wrong"],
  [forge(HEADER, { ...CLAIMS, iat: AT + 9 }), "ERR_TOKEN_NOT_YET", "it is not valid yet"],
  [forge(HEADER, { ...CLAIMS, exp: AT - 9 }), "ERR_TOKEN_EXPIRED", "it has expired"],
  ...["v", "jti", "iat", "exp", "nbf", "iss", "aud"].map((name): [string, string, string] => [
    forge(HEADER, { ...CLAIMS, [name]: {} }),
    "ERR_TOKEN_CLAIM",
    `claim "${name}" is not as required`,
  ]),
])("says why it cannot verify %s", async (token, code, message) => {
  await expect(tokens.verify(TYP, token)).rejects.toMatchObject({ code, message: `Cannot verify the token: ${message}` });
});

it.each([
  ["iss", { aud: "game.example" }],
  ["aud", { iss: "gate" }],
])("says that the required claim %s is missing", async (name, claims) => {
  await expect(strict.verify(TYP, forge(HEADER, { ...CLAIMS, ...claims }))).rejects.toThrow(
    `Cannot verify the token: claim "${name}" is not as required`,
  );
});

it("says why it cannot sign", async () => {
  const why = async (claims: Record<string, unknown>, ttl = 9, typ = TYP): Promise<unknown> =>
    tokens.sign(typ, claims, { ttl }).catch((error: Error) => error.message);
  expect(await why({ exp: 1 })).toBe('Cannot sign: claim "exp" is not the caller\'s');
  expect(await why({ nbf: "soon" })).toBe('Cannot sign: claim "nbf" is not a number of seconds');
  for (const lost of [Number.NaN, [undefined], () => 1, Symbol("s"), new Date()]) {
    expect(await why({ lost })).toBe("Cannot sign: a claim does not survive JSON");
  }
  expect(await why({ pad: "x".repeat(4096) })).toMatch(/^Cannot sign: \d{4} characters are more than 4096$/);
  expect(await why({ jti: "" })).toContain('"jti"');
  expect(await why({}, 0)).toContain('"ttl"');
  expect(await why({}, 9, "")).toContain('"typ"');
  expect(await why({}, 9, "a b")).toBe('Invalid "typ": expected a media type, got "a b"');
});

it("says which keys a ring has", async () => {
  const mac = createSubkeys([SECRET, "o".repeat(40)]).mac("jti/1", new Uint8Array(1), 2);
  await expect(mac).rejects.toThrow(new RangeError('Invalid "key": expected an integer from 0 to 1'));
});
