import { isGatepassError } from "../errors.ts";
import { eventReasonOfToken } from "../events/index.ts";
import type { EventReason } from "../events/types.ts";
import { LEVELS, type Level, type PublicCode, TYP } from "../protocol.ts";
import type { Quota } from "../store/contract.ts";
import { rateKey, usesKey } from "../store/index.ts";
import { isCount } from "../tokens/shapes.ts";
import type { Tokens, VerifiedClaims } from "../tokens/types.ts";
import { assertKeys } from "../util/assertions.ts";

/** Seconds that a commitment lives: a name has to be typed. */
export const COMMITMENT_TTL = 900;

/** What a commitment says: this player reached this score, at this time, and the server knows it this well. */
export interface CommitmentClaims {
  score: number;
  /** Milliseconds since the epoch: when it was reached, by the server's clock; decides ties and periods. */
  ts: number;
  /** The game, or the board where no game is known. */
  game: string;
  board: string;
  /** The player, who alone may submit it. */
  sub: string;
  level: Level;
  /** Id of the verified run. */
  run?: string;
  /** What was odd about the run. */
  flags?: readonly string[];
  /** 1 to 128 characters: commitments with one id count once together. Default: a random id. */
  jti?: string;
  /** Whether it was signed while nobody could check the challenge. Default: it was checked. */
  deg?: boolean;
  /** Data of the score, JSON of at most 256 bytes. Default: none. */
  data?: string;
  /** The list of its own that the score counts in, 1 to 64 characters. Default: none. */
  tag?: string;
}

/** A commitment whose MAC and times were checked. */
export interface Commitment extends CommitmentClaims {
  jti: string;
  /** Seconds since the epoch. */
  iat: number;
  /** Seconds since the epoch. */
  exp: number;
}

const CLAIMS = ["score", "ts", "game", "board", "sub", "level", "run", "flags", "jti", "deg", "data", "tag"];

/**
 * Signs a commitment (`gp-score+jwt`). What it says is checked where it is read.
 *
 * @throws {TypeError} an unknown claim
 */
export async function signCommitment(tokens: Tokens, claims: CommitmentClaims): Promise<string> {
  assertKeys("signCommitment", claims, CLAIMS);
  return tokens.sign(TYP.commitment, { ...claims }, { ttl: COMMITMENT_TTL });
}

/** Reads a commitment, or tells why it is none. */
export async function readCommitment(
  tokens: Tokens | undefined,
  token: string,
): Promise<{ ok: true; commitment: Commitment } | { ok: false; code: PublicCode; reason: EventReason }> {
  const invalid = (reason: EventReason) => ({ ok: false, code: "COMMITMENT_INVALID", reason }) as const;
  if (!tokens) return invalid("misconfigured");
  try {
    const claims = await tokens.verify(TYP.commitment, token);
    // Whoever has the secret may sign; what it signs must still have the shape of a commitment.
    return isCommitment(claims) ? { ok: true, commitment: commitmentOf(claims) } : invalid("token_claim");
  } catch (error) {
    if (!isGatepassError(error)) throw error;
    const reason = eventReasonOfToken(error.code);
    return error.code === "ERR_TOKEN_EXPIRED" ? { ok: false, code: "COMMITMENT_EXPIRED", reason } : invalid(reason);
  }
}

/**
 * What makes a commitment count once. It lives as long as any process may accept the commitment. `clockTolerance` in seconds.
 *
 * A commitment that nobody checked is counted by a rate. Strangers get as many of these as the limits allow, and would otherwise
 * fill the store with keys that it must not remove.
 */
export function commitmentQuota({ jti, iat, exp, deg }: Commitment, clockTolerance: number): Quota {
  const life = { window: Math.max(1, exp - iat) + 2 * clockTolerance };
  if (deg) return { key: rateKey({ name: "score", ...life }, [jti]), limit: 1, ...life };
  return { key: usesKey("score", jti), limit: 1, expiresAt: (exp + 2 * clockTolerance) * 1000, issuedAt: iat * 1000 + 999 };
}

function isCommitment(claims: VerifiedClaims): claims is VerifiedClaims & Commitment {
  const { iat, exp, score, ts, game, board, sub, level, run = "-", flags = [], deg = false, data = "-", tag = "-" } = claims;
  return (
    [score, ts].every(isWhole) &&
    isCount(iat) &&
    isCount(exp) &&
    [game, board, sub, run, tag].every(isText) &&
    LEVELS.some((one) => one === level) &&
    Array.isArray(flags) &&
    flags.every(isText) &&
    typeof deg === "boolean" &&
    typeof data === "string" &&
    data.length <= 256
  );
}

/** A commitment's own claims, without what is empty. */
function commitmentOf({ jti, iat, exp, score, ts, game, board, sub, level, run, flags = [], deg, data, tag }: Commitment): Commitment {
  const more = {
    ...(run !== undefined && { run }),
    ...(deg && { deg }),
    ...(data !== undefined && { data }),
    ...(tag !== undefined && { tag }),
  };
  return { jti, iat, exp, score, ts, game, board, sub, level, flags, ...more };
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= 128;
}
