import { createTokens } from "gatepass/tokens";
import { jwtVerify } from "jose";
import { type Case, equal, rejects, truthy } from "./harness.ts";

const secret = "an example secret for the runtime matrix, 48 bytes";
const old = "the previous secret of the runtime matrix, 48 byte";
const now = Date.UTC(2026, 0, 1);

/** Tokens: the part that runs in a browser too. */
export const tokenCases: Case[] = [
  {
    name: "what is signed verifies, here and with jose",
    async run() {
      const tokens = createTokens({ secrets: secret, issuer: "gate", audience: "game.example" });
      const token = await tokens.sign("gp-test+jwt", { sub: "player", scope: ["score_submit"] }, { ttl: 60 });
      const claims = await tokens.verify("gp-test+jwt", token);
      equal(claims["sub"], "player");
      equal(claims.exp - claims.iat, 60);
      equal(claims.jti.length, 22);
      const key = new TextEncoder().encode(secret);
      const { payload } = await jwtVerify(token, key, { typ: "gp-test+jwt", audience: "game.example", issuer: "gate" });
      equal(payload.jti, claims.jti);
    },
  },
  {
    name: "a fixed token has the same bytes on every runtime",
    async run() {
      const tokens = createTokens({ secrets: { kid: "a", secret }, clock: () => now });
      const token = await tokens.sign("gp-test+jwt", { jti: "fixed" }, { ttl: 60 });
      equal((await tokens.verify("gp-test+jwt", token)).jti, "fixed");
      const parts = token.split(".");
      equal(JSON.parse(atob((parts[0] ?? "").replaceAll("-", "+").replaceAll("_", "/"))), { alg: "HS256", typ: "gp-test+jwt", kid: "a" });
      const again = await tokens.sign("gp-test+jwt", { jti: "fixed" }, { ttl: 60 });
      equal(again, token);
    },
  },
  {
    name: "another kind, a changed character, an expired token reject with their codes",
    async run() {
      let time = now;
      const tokens = createTokens({ secrets: secret, clock: () => time });
      const token = await tokens.sign("gp-test+jwt", {}, { ttl: 60 });
      await rejects(tokens.verify("gp-other+jwt", token), "ERR_TOKEN_HEADER");
      const [header, claims, mac = ""] = token.split(".");
      const flipped = `${mac[0] === "A" ? "B" : "A"}${mac.slice(1)}`;
      await rejects(tokens.verify("gp-test+jwt", `${header}.${claims}.${flipped}`), "ERR_TOKEN_SIGNATURE");
      await rejects(tokens.verify("gp-test+jwt", "not a token"), "ERR_TOKEN_MALFORMED");
      time += 66_000;
      await rejects(tokens.verify("gp-test+jwt", token), "ERR_TOKEN_EXPIRED");
    },
  },
  {
    name: "a rotation loses no valid token and says which secret verified",
    async run() {
      const token = await createTokens({ secrets: old }).sign("gp-test+jwt", {}, { ttl: 60 });
      const claims = await createTokens({ secrets: [secret, old] }).verify("gp-test+jwt", token);
      equal(claims.key, 1);
      await rejects(createTokens({ secrets: secret }).verify("gp-test+jwt", token), "ERR_TOKEN_SIGNATURE");
    },
  },
  {
    name: "64 callers at once each get their own",
    async run() {
      const tokens = createTokens({ secrets: secret });
      const all = await Promise.all(Array.from({ length: 64 }, (_, i) => tokens.sign("gp-test+jwt", { i }, { ttl: 60 })));
      const claims = await Promise.all(all.map((token) => tokens.verify("gp-test+jwt", token)));
      equal(
        claims.map((claim) => claim["i"]),
        Array.from({ length: 64 }, (_, i) => i),
      );
      truthy(new Set(claims.map(({ jti }) => jti)).size === 64, "64 different jti");
    },
  },
];
