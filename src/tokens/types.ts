/**
 * A signing secret: text (encoded as UTF-8) or bytes, at least 32 bytes. `kid` is the name in the token's header, 1 to
 * 128 characters.
 */
export type Secret = string | Uint8Array | { kid: string; secret: string | Uint8Array };

/** Claims as the caller gives them; every value must survive JSON. */
export type Claims = Record<string, unknown>;

/**
 * Claims of a token whose MAC, envelope and times were checked. Instants are in seconds since the epoch, as in RFC
 * 7519.
 */
export interface VerifiedClaims extends Claims {
  jti: string;
  iat: number;
  exp: number;
  iss?: string;
  sub?: string | undefined;
  aud?: string | string[];
  /** Position in the ring of the secret that verified (not part of the token). */
  key: number;
}

/** Options of `createTokens`. */
export interface TokensOptions {
  /** One secret or a ring of them: the first signs, all verify. */
  secrets: Secret | readonly Secret[];
  /** `iss` of what is signed and required of what is verified. Default: none. */
  issuer?: string;
  /** `aud` of what is signed and required of what is verified. Default: none. */
  audience?: string;
  /** Seconds by which clocks may differ, 0..600, default 5. */
  clockTolerance?: number;
  /** Seconds, from 1, default 86400: the longest life of a token, when it is signed and when it is verified. */
  maxTtl?: number;
  /** Milliseconds since the epoch. Default `Date.now`. */
  clock?: () => number;
  /** Random bytes. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/** Signs and verifies compact HS256 tokens. */
export interface Tokens {
  /**
   * Signs `claims` as a token of kind `typ`. Adds `v`, `iat`, `exp`, `iss`, `aud`, and a random `jti` unless given.
   * `ttl` in seconds.
   *
   * @throws {TypeError} a claim that only `sign` sets, or that does not survive JSON
   * @throws {RangeError} `ttl` outside 1..`maxTtl`, a `typ` that is no media type, a token of more than 4096 characters
   */
  sign(typ: string, claims: Claims, options: { ttl: number }): Promise<string>;
  /**
   * The claims of a valid token of kind `typ`.
   *
   * @throws {GatepassError} `ERR_TOKEN_MALFORMED`, `_HEADER`, `_SIGNATURE`, `_EXPIRED`, `_NOT_YET`, `_CLAIM`
   */
  verify(typ: string, token: string): Promise<VerifiedClaims>;
}

/** What a sub-key is for: the `info` of HKDF-SHA-256. */
export type SubkeyPurpose = "idem/1" | "jti/1" | "receipt/1" | "beacon/1" | "bind/1" | "form/1" | "admin/1";

/** MACs under keys derived from the ring, for everything that is not a JWT. */
export interface Subkeys {
  /** How many secrets the ring has. */
  readonly size: number;
  /**
   * HMAC-SHA-256 (32 bytes) of `data` under the sub-key of `purpose`. `key`: position of the secret in the ring,
   * default 0, the first.
   */
  mac(purpose: SubkeyPurpose, data: Uint8Array, key?: number): Promise<Uint8Array>;
}
