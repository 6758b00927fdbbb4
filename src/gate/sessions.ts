import { GatepassError, isGatepassError } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import { MAX_TURNSTILE_TOKEN, type PublicCode, TYP } from "../protocol.ts";
import { MAX_OFFSET } from "../store/clocks.ts";
import type { Quota } from "../store/contract.ts";
import { rateKey, usesKey } from "../store/index.ts";
import { isCount, isFlag, isText, isTextList } from "../tokens/shapes.ts";
import type { VerifiedClaims } from "../tokens/types.ts";
import type { Turnstile } from "../turnstile/types.ts";
import { assertString } from "../util/assertions.ts";
import { encodeBase64url } from "../util/base64url.ts";
import { utf8 } from "../util/bytes.ts";
import { sha256 } from "../util/hmac.ts";
import { randomId } from "../util/random.ts";
import type { Settings } from "./options.ts";
import type { Players } from "./players.ts";
import { deviceOf, type RequestScope, whoIs } from "./request-scope.ts";
import { idempotencyKey, type Keys, PLAYER_TTL, shortMac } from "./secrets.ts";
import type { SessionClaims, SessionResult } from "./types.ts";

/** How many verified tokens are cached. */
const KNOWN = 1000;
/** Seconds of the longest session. */
const MAX_TTL = 900;
/** Seconds and uses of a session whose solve could not be checked. */
const DEGRADED_TTL = 120;
const DEGRADED_USES = 2;

/** A Turnstile token that Cloudflare confirmed (or, `degraded`, could not be asked about). */
export interface Solve {
  ok: true;
  jti: string;
  /**
   * Seconds since the epoch: when the challenge was solved, by Cloudflare's clock. For a degraded solve: now, by our
   * clock.
   */
  auth_time: number;
  /** Seconds since the epoch, by our clock: now. */
  iat: number;
  scope: string[];
  eid: string | undefined;
  degraded: boolean;
  /** The token, which a new player's id is derived from. Undefined for a test key's token, which is always the same. */
  seed: string | undefined;
}

/** The refusal of a token. */
export interface Unsolved {
  ok: false;
  code: PublicCode;
  reason: EventReason;
  /** Cloudflare is down: the same token may be shown again. */
  retryable?: boolean;
}

/** Checks solves, and issues, reads and revokes sessions. */
export interface SessionService {
  solve(requestScope: RequestScope, token: string, action?: string): Promise<Solve | Unsolved>;
  exchange(requestScope: RequestScope, token: string, playerToken: string | undefined): Promise<SessionResult>;
  verify(token: string): Promise<SessionClaims>;
  /**
   * HMAC of this client's value of what sessions are bound to. Undefined where `bind` is `none`. `key`: position of the
   * secret in the ring.
   */
  binding(requestScope: RequestScope, key?: number): Promise<string | undefined>;
  /**
   * The counter of a solve: the same one for every token of it. The first quota tells whether the solve is revoked or
   * expired.
   */
  uses(solve: Pick<SessionClaims, "jti" | "auth_time" | "iat">, limit: number, cost: number, degraded?: boolean): readonly Quota[];
  /** Milliseconds. What is kept for so long after a request was admitted outlives the counter of its solve. */
  life: number;
  /**
   * Whether the session can be spent: it is not used up, revoked, expired or degraded. False while the store is down.
   */
  isLive(claims: SessionClaims): Promise<boolean>;
  revoke(jti: string): Promise<void>;
}

export function createSessions(
  settings: Settings,
  keys: Keys | undefined,
  players: Players,
  turnstile: Turnstile | undefined,
): SessionService {
  const { given, resolved, store, clock, random, actions } = settings;
  const { mode, bind, sessionTtl, sessionUses } = resolved;
  // Seconds after the solve at which every token of it has expired: signed as late as allowed, with the longest life,
  // by the fastest clock.
  const counted = settings.maxAge + MAX_TTL + 2 * resolved.clockTolerance;
  const dry_run = mode !== "enforce" || undefined;

  /**
   * The text that a session is bound to. It names the kind, so that after a change of `bind` an address cannot pass as
   * a device.
   */
  const boundTo = async (requestScope: RequestScope): Promise<string> => {
    if (bind === "none") return "";
    await whoIs(requestScope, given.identify);
    return `${bind}:${(bind === "device" ? deviceOf(requestScope) : requestScope.info.ipPrefix) ?? ""}`;
  };
  const binding: SessionService["binding"] = async (requestScope, key) =>
    keys && bind !== "none" ? shortMac(keys.subkeys, "bind/1", ["session", await boundTo(requestScope)], key) : undefined;

  /**
   * The id of a solve: the same for the same token, so that a second exchange (a retry, or a thief's) shares the uses
   * of the first session. Without a signing secret it is the token's digest, which does not disclose the token.
   */
  const idOf = async (token: string): Promise<string> =>
    keys ? shortMac(keys.subkeys, "jti/1", [resolved.issuer ?? "", resolved.audience, token]) : encodeBase64url(await sha256(utf8(token)));

  const solve: SessionService["solve"] = async (requestScope, token, action) => {
    if (typeof token !== "string" || token === "") return { ok: false, code: "TURNSTILE_TOKEN_MISSING", reason: "missing" };
    if (!turnstile || mode === "off")
      return { ok: false, code: "VERIFICATION_FAILED", reason: mode === "off" ? "mode_off" : "misconfigured" };
    requestScope.emit("turnstile_token_received", { outcome: "info", action });
    const result = await turnstile.verify(token, {
      action: action ?? actions,
      cdata: "",
      remoteip: requestScope.info.address,
      // Do not hash a text of unbounded length.
      idempotencyKey:
        keys && token.length <= MAX_TURNSTILE_TOKEN
          ? await idempotencyKey(keys.subkeys, resolved, ["session", "", await boundTo(requestScope), token])
          : undefined,
    });
    const latency_ms = result.latencyMs;
    let eid: string | undefined;
    if (result.ok) {
      eid = result.ephemeralId && keys && (await shortMac(keys.subkeys, "bind/1", ["eid", result.ephemeralId]));
      requestScope.emit("turnstile_siteverify_success", { outcome: "allow", latency_ms, action: result.action, ephemeral_id: eid });
    } else {
      const { reason, errorCodes: error_codes } = result;
      const down = reason === "timeout" || reason === "unavailable";
      const degraded = (down && resolved.onUnavailable === "degraded") || undefined;
      const ours = down || reason === "misconfigured";
      const code = ours ? "UNAVAILABLE" : "VERIFICATION_FAILED";
      const type = down ? "turnstile_siteverify_timeout" : "turnstile_siteverify_failed";
      const about = { outcome: ours ? "error" : "deny", code, reason, error_codes, latency_ms, degraded, dry_run } as const;
      // Report a wrong configuration once, not with each request.
      if (!result.repeated) requestScope.emit(type, about);
      if (!degraded) return { ok: false, code, reason, retryable: down };
    }
    // A test key's token is always the same text, and its answer names neither page nor action.
    const constant = result.ok && result.testKey;
    return {
      ok: true,
      jti: constant ? randomId(random) : await idOf(token),
      auth_time: Math.floor((result.ok ? result.challengeAt : clock()) / 1000),
      iat: Math.floor(clock() / 1000),
      scope: result.ok && !constant ? [result.action.toLowerCase()] : actions,
      eid,
      degraded: !result.ok,
      seed: constant ? undefined : token,
    };
  };

  // One token is spent many times: its MAC and claims are the same each time, only the clock is not. Values, never
  // promises, and few of them.
  const known = new Map<string, SessionClaims>();
  const verify: SessionService["verify"] = async (token) => {
    if (!keys) throw new GatepassError("ERR_CONFIG_INVALID", "Cannot verify the session: there is no signing secret");
    const now = clock() / 1000;
    let claims = known.get(token);
    // Whatever is not plainly alive goes the whole way, and is refused there.
    if (!claims || now < claims.iat || !(now < claims.exp)) {
      const verified = await keys.tokens.verify(TYP.session, token);
      if (!isSession(verified)) throw new GatepassError("ERR_TOKEN_CLAIM", "Cannot verify the session: a claim is wrong");
      // All at once: to find the oldest one, a map goes through the places of all that were taken out before it.
      if (known.size >= KNOWN) known.clear();
      known.set(token, verified);
      claims = verified;
    }
    return { ...claims, scope: [...claims.scope] };
  };

  const uses: SessionService["uses"] = ({ jti, auth_time, iat }, limit, cost, degraded = false) => {
    const counter = {
      key: usesKey("jti", jti),
      limit,
      cost: degraded ? 0 : cost,
      // By the provider's clock alone: every process gives the counter of a solve the same end, however wrong its own
      // clock is. By its own clock, a process that is behind would end the counter too early. Another process would
      // still accept sessions of this solve, and count them from zero.
      expiresAt: (auth_time + counted) * 1000,
      // Never ahead of our clock: otherwise a store that began after the solve would believe that it knows all of its
      // uses. The claims count whole seconds. A store that began within this second has forgotten nothing of the solve.
      issuedAt: Math.min(auth_time, iat) * 1000 + 999,
    };
    if (!degraded && resolved.onUnavailable !== "degraded") return [counter];
    // While Cloudflare is down, any text passes for a token. If they were counted as uses, attackers would fill the
    // store with keys that it must not remove. So they are counted as a rate, which also counts the checked session of
    // the same solve.
    return [counter, { key: rateKey({ name: "degraded", window: counted }, [jti]), limit, cost, window: counted }];
  };

  return {
    solve,
    verify,
    binding,
    uses,
    // `auth_time` may be ahead of this process's clock by two tolerances: the signer accepted a solve that was
    // ahead by one, and this process accepts a token that is ahead by another.
    life: (counted + 2 * resolved.clockTolerance) * 1000,
    async isLive(claims) {
      if (claims.deg) return false;
      try {
        const { states } = await store.spend(uses(claims, claims.uses, 0));
        return states.every(({ why }) => why === undefined);
      } catch (error) {
        if (!isGatepassError(error)) throw error;
        return false;
      }
    },
    async exchange(requestScope, token, playerToken) {
      if (!keys) return { ok: false, code: "NOT_FOUND" };
      const solved = await solve(requestScope, token);
      if (!solved.ok) {
        const { code, reason, retryable } = solved;
        if (reason !== "misconfigured") requestScope.emit("session_rejected", { outcome: "deny", code, reason, dry_run });
        return { ok: false, code, retryable };
      }
      const { jti, auth_time, scope, eid, degraded } = solved;
      const sub = await players.of(requestScope, playerToken, solved.seed);
      const acc = sub === (await players.account(requestScope)) || undefined;
      const uses = degraded ? Math.min(DEGRADED_USES, sessionUses) : sessionUses;
      const ttl = degraded ? DEGRADED_TTL : sessionTtl;
      const claims = { jti, sub, acc, auth_time, scope, uses, bnd: await binding(requestScope), eid, deg: degraded || undefined };
      const sessionToken = await keys.tokens.sign(TYP.session, claims, { ttl });
      const renewed = await keys.playerTokens.sign(TYP.player, { sub, acc }, { ttl: PLAYER_TTL });
      const action = scope.length === 1 ? scope[0] : undefined;
      requestScope.emit("session_issued", { outcome: "allow", session: jti, player: sub, action, ephemeral_id: eid, degraded: claims.deg });
      return { ok: true, sessionToken, expiresIn: ttl, uses, playerToken: renewed, claims: await verify(sessionToken) };
    },
    async revoke(jti) {
      // Refuse undefined (a missing claim) and a whole token: the call would revoke nothing.
      assertString("jti", jti, 1, 128);
      // The block must outlive every token of the solve, also where our clock is behind. The solve was before now.
      await store.block(usesKey("jti", jti), clock() + (counted + resolved.clockTolerance) * 1000 + MAX_OFFSET);
    },
  };
}

function isSession(claims: VerifiedClaims): claims is SessionClaims {
  const { sub, iat, auth_time: authTime, uses, scope, bnd = "-", eid = "-", acc = true, deg = true } = claims;
  return (
    [sub, bnd, eid].every(isText) &&
    isCount(iat) &&
    isCount(authTime) &&
    isCount(uses, 1000) &&
    isTextList(scope) &&
    isFlag(acc) &&
    isFlag(deg)
  );
}
