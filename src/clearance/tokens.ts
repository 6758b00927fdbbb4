import { GatepassError } from "../errors.ts";
import { idempotencyKey, shortMac } from "../gate/secrets.ts";
import type { Kernel } from "../gate/types.ts";
import { CHALLENGE_PREFIX, TYP } from "../protocol.ts";
import { isCount, isFlag, isText, isTextList } from "../tokens/shapes.ts";
import type { Subkeys, Tokens, VerifiedClaims } from "../tokens/types.ts";
import { randomId } from "../util/random.ts";
import type { PolicyEntry } from "./types.ts";

/** Seconds that a challenge lives. */
export const CHALLENGE_TTL = 300;
/** The most characters of a challenge's id, its prefix included. */
export const MAX_CHALLENGE = 4096;

/**
 * What a token is bound to: HMACs of the device, the address prefix and the session. A token thus does not disclose
 * them.
 */
export interface Bindings {
  dev?: string | undefined;
  ip?: string | undefined;
  ses?: string | undefined;
}

/** Claims of a challenge. A challenge is not stored: its claims hold all that the verification needs. */
export interface ChallengeClaims extends VerifiedClaims, Bindings {
  /** Method and path of the request. */
  endpoint: string;
  /** The original request's id. */
  rid: string;
  act: string;
  scope: string[];
  /** Seconds that the clearance will live. */
  ttl: number;
  max_uses: number;
  /** The request's score, 0..100. */
  risk: number;
  /** The user, as the application names it. */
  sub?: string | undefined;
}

/** Claims of a clearance. */
export interface ClearanceClaims extends VerifiedClaims {
  scope: string[];
  max_uses: number;
  challenge_id: string;
  /** The score of the request that was challenged, 0..100. */
  risk: number;
  /**
   * Seconds since the epoch: its uses are counted until then. The same for every clearance of the challenge, however
   * late it was signed.
   */
  until: number;
  sub?: string | undefined;
  device_id?: string | undefined;
  session_id?: string | undefined;
  /** HMAC of the address prefix. */
  ip?: string | undefined;
  /** HMAC of Cloudflare's ephemeral id. */
  eid?: string | undefined;
  /** The solve could not be checked, since Cloudflare was down. */
  deg?: boolean | undefined;
}

/** What is known of a client, as plain text: the input of the HMACs. */
export interface Client {
  device: string | undefined;
  prefix: string | undefined;
  session: string | undefined;
  user: string | undefined;
}

/** The request that a challenge is for. */
export interface Original {
  method: string;
  path: string;
  /** Its id. */
  rid: string;
}

/** Signs and reads challenges and clearances, and derives what they are bound to. */
export interface ClearanceTokens {
  /**
   * HMACs of a client. `key`: position in the ring of the secret whose sub-key is used, to compare with a token of that
   * secret. Default 0.
   */
  bind(client: Client, key?: number): Promise<Bindings>;
  /**
   * Whether the clearance is this client's (`own`), and whether its address prefix changed (`moved`). A clearance
   * copies the HMACs of its challenge. An older secret may have made these, if the secrets were rotated in between. So
   * every secret of the ring is tried.
   */
  belongs(claims: ClearanceClaims, client: Client): Promise<{ own: boolean; moved: boolean }>;
  /** HMACs of device and user, for events. */
  whoIs(client: Pick<Client, "device" | "user">): Promise<{ device?: string; user?: string }>;
  challenge(entry: PolicyEntry, risk: number, request: Original, client: Client): Promise<{ id: string; cdata: string }>;
  /** @throws {GatepassError} as `Tokens.verify` */
  readChallenge(id: string): Promise<ChallengeClaims>;
  /**
   * The idempotency key of a challenge's solve. Cloudflare accepts the token a second time only with the same challenge
   * and device.
   */
  idempotencyKey(challenge: ChallengeClaims, token: string): Promise<string>;
  /**
   * The clearance of a challenge and the token that solved it. The same pair gives the same `jti`, so a retry gets no
   * further uses.
   */
  clearance(challenge: ChallengeClaims, token: string, extra: Pick<ClearanceClaims, "eid" | "deg">): Promise<SignedClearance>;
  /** @throws {GatepassError} as `Tokens.verify` */
  readClearance(token: string): Promise<ClearanceClaims>;
}

/** A clearance that was signed. */
export interface SignedClearance {
  token: string;
  jti: string;
  /** Seconds. */
  ttl: number;
  uses: number;
  /** Seconds since the epoch, as in its claims. */
  until: number;
}

/** Seconds and uses of a clearance whose solve could not be checked. */
const DEGRADED_TTL = 300;
const DEGRADED_USES = 1;

export function createClearanceTokens(tokens: Tokens, subkeys: Subkeys, { options, random }: Kernel): ClearanceTokens {
  const mac = (label: string, text: string | undefined, key?: number): Promise<string | undefined> =>
    text === undefined ? Promise.resolve(undefined) : shortMac(subkeys, "bind/1", [`clearance.${label}`, text], key);
  const bind: ClearanceTokens["bind"] = async ({ device, prefix, session }, key) => {
    const [dev, ip, ses] = await Promise.all([mac("device", device, key), mac("prefix", prefix, key), mac("session", session, key)]);
    return { dev, ip, ses };
  };
  const hide = async (label: "device" | "user", text: string | undefined): Promise<{ [name in typeof label]?: string }> =>
    text === undefined ? {} : { [label]: await shortMac(subkeys, "bind/1", ["event", label, text]) };
  return {
    bind,
    async belongs({ device_id, session_id, ip: address, sub, key: first }, client) {
      const keys = [first, ...Array.from({ length: subkeys.size }, (_, key) => key).filter((key) => key !== first)];
      let own = false;
      for (const key of keys) {
        const { dev, ip, ses } = await bind(client, key);
        if (device_id !== dev || session_id !== ses || sub !== client.user) continue;
        own = true;
        if (address === undefined || address === ip) return { own, moved: false };
      }
      return { own, moved: true };
    },
    async whoIs({ device, user }) {
      return { ...(await hide("device", device)), ...(await hide("user", user)) };
    },
    async challenge(entry, risk, { method, path, rid }, client) {
      const bindings = await bind(client);
      const cdata = randomId(random);
      const token = await tokens.sign(
        TYP.challenge,
        {
          jti: cdata,
          endpoint: `${method} ${path}`.slice(0, 300),
          rid,
          act: entry.action,
          scope: [entry.scope],
          ttl: entry.ttl,
          max_uses: entry.maxUses,
          risk,
          sub: client.user,
          ...bindings,
        },
        { ttl: CHALLENGE_TTL },
      );
      return { id: CHALLENGE_PREFIX + token, cdata };
    },
    async readChallenge(id) {
      // Without our prefix it is not a challenge. `verify` refuses the empty text with its usual error.
      const claims = await tokens.verify(TYP.challenge, id.startsWith(CHALLENGE_PREFIX) ? id.slice(CHALLENGE_PREFIX.length) : "");
      if (!isChallenge(claims)) throw new GatepassError("ERR_TOKEN_CLAIM", "Cannot verify the challenge: a claim is wrong");
      return claims;
    },
    async idempotencyKey({ jti, dev = "", key }, token) {
      return idempotencyKey(subkeys, options, ["clearance", jti, dev, token], key);
    },
    async clearance(challenge, token, { eid, deg }) {
      const jti = await shortMac(subkeys, "jti/1", [challenge.jti, token], challenge.key);
      const ttl = deg ? Math.min(DEGRADED_TTL, challenge.ttl) : challenge.ttl;
      const uses = deg ? DEGRADED_USES : challenge.max_uses;
      const { scope, sub, dev, ses, ip, risk } = challenge;
      const until = challenge.exp + challenge.ttl + 2 * options.clockTolerance;
      const claims = {
        jti,
        sub,
        device_id: dev,
        session_id: ses,
        ip,
        scope,
        max_uses: uses,
        challenge_id: challenge.jti,
        risk,
        until,
        eid,
        deg,
      };
      return { token: await tokens.sign(TYP.clearance, claims, { ttl }), jti, ttl, uses, until };
    },
    async readClearance(token) {
      const claims = await tokens.verify(TYP.clearance, token);
      if (!isClearance(claims)) throw new GatepassError("ERR_TOKEN_CLAIM", "Cannot verify the clearance: a claim is wrong");
      return claims;
    },
  };
}

function isChallenge(claims: VerifiedClaims): claims is ChallengeClaims {
  const { rid, act, endpoint, ttl, dev = "-", ip = "-", ses = "-" } = claims;
  return [rid, act, endpoint, dev, ip, ses].every(isText) && isCount(ttl, 1800) && isScoped(claims);
}

function isClearance(claims: VerifiedClaims): claims is ClearanceClaims {
  const { challenge_id: challenge, until, device_id: device = "-", session_id: session = "-", ip = "-", eid = "-", deg = true } = claims;
  return [challenge, device, session, ip, eid].every(isText) && isCount(until) && isFlag(deg) && isScoped(claims);
}

/** The claims that challenges and clearances share. Defaults stand for missing claims only: null is refused. */
function isScoped({ iat, exp, sub = "-", scope, max_uses: uses, risk }: VerifiedClaims): boolean {
  const rated = typeof risk === "number" && risk >= 0 && risk <= 100;
  return rated && isCount(iat) && isCount(exp) && isText(sub) && isCount(uses, 1000) && isTextList(scope);
}
