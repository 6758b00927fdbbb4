import { createVerifier } from "fast-jwt";
import { verify as honoVerify } from "hono/jwt";
import { jwtVerify } from "jose";
import jsonwebtoken from "jsonwebtoken";
import { describe, expect, it } from "vitest";
import { createTokens } from "../../../src/tokens/index.ts";

const SECRET = "Vt5-library-tests-xQ9-7hR2mLw8ZpD4sK1uYc";
const OTHER = "Another-secret-of-32-bytes-at-least-Zp4sK";
const AUDIENCE = "game.example";
const ISSUER = "https://game.example";
const TYP = "gp-session+jwt";

interface Expected {
  secret: string;
  audience: string;
  issuer: string;
  typ: string;
}
type Verify = (token: string, expected: Expected) => Promise<Record<string, unknown>> | Record<string, unknown>;

/** How each library verifies one of our tokens, as the module's documentation says it. */
const LIBRARIES: [name: string, verify: Verify][] = [
  [
    "jose",
    async (token, { secret, audience, issuer, typ }) => {
      const key = new TextEncoder().encode(secret);
      return { ...(await jwtVerify(token, key, { algorithms: ["HS256"], typ, audience, issuer })).payload };
    },
  ],
  [
    "jsonwebtoken",
    (token, { secret, audience, issuer, typ }) => {
      const { header, payload } = jsonwebtoken.verify(token, secret, { algorithms: ["HS256"], audience, issuer, complete: true });
      // It has no option for the kind.
      if (header.typ !== typ) throw new Error("another kind of token");
      return Object(payload);
    },
  ],
  [
    "fast-jwt",
    (token, { secret, audience, issuer, typ }) =>
      createVerifier({ key: secret, algorithms: ["HS256"], allowedAud: audience, allowedIss: issuer, checkTyp: typ })(token),
  ],
  [
    "hono/jwt",
    async (token, { secret, audience, issuer, typ }) => ({
      ...(await honoVerify(token, secret, { alg: "HS256", aud: audience, iss: issuer, typ })),
    }),
  ],
];

const right: Expected = { secret: SECRET, audience: AUDIENCE, issuer: ISSUER, typ: TYP };
const sign = (more: { kid?: string; typ?: string } = {}): Promise<string> =>
  createTokens({
    secrets: more.kid === undefined ? SECRET : { kid: more.kid, secret: SECRET },
    audience: AUDIENCE,
    issuer: ISSUER,
  }).sign(more.typ ?? TYP, { sub: "anna" }, { ttl: 300 });

describe.each(LIBRARIES)("a token under %s", (_name, verify) => {
  it("verifies, with and without a key's name", async () => {
    for (const kid of [undefined, "2026-11"]) {
      const claims = await verify(await sign(kid === undefined ? {} : { kid }), right);
      expect(claims).toMatchObject({ sub: "anna", aud: AUDIENCE, iss: ISSUER, v: 1, jti: expect.any(String) });
    }
  });

  it.each<[string, Partial<Expected>]>([
    ["another secret", { secret: OTHER }],
    ["another audience", { audience: "evil.example" }],
    ["another issuer", { issuer: "https://evil.example" }],
    ["another kind", { typ: "gp-player+jwt" }],
  ])("is refused under %s", async (_what, wrong) => {
    const token = await sign();
    await expect((async () => verify(token, { ...right, ...wrong }))()).rejects.toThrow();
  });
});

it("hono/jwt refuses our kinds unless it is told which one to expect", async () => {
  const token = await sign();
  await expect(honoVerify(token, SECRET, "HS256")).rejects.toThrow();
  await expect(honoVerify(token, SECRET, { alg: "HS256", aud: AUDIENCE, iss: ISSUER })).rejects.toThrow();
});
