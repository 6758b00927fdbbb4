/** A widget of the emulator's account. */
export interface EmulatorWidget {
  sitekey: string;
  /** All of them are valid: a rotation is a second secret. */
  secrets: readonly string[];
  /** A property of the widget, as with Cloudflare. Default `managed`. */
  mode?: "managed" | "non-interactive" | "invisible";
  /** Hostnames a page may have; each covers its sub-domains and any port. Default: every hostname. */
  hostnames?: readonly string[];
  /** Every challenge asks a person to tick a box. Default false. */
  interactive?: boolean;
  /** Challenges end in error 400070. Default false. */
  disabled?: boolean;
}

/** Options of `createTurnstileEmulator`. */
export interface EmulatorOptions {
  /** Milliseconds since the epoch. Default `Date.now`; `control.advance` adds to it. */
  clock?: () => number;
  /** Default {@link EMULATOR_WIDGETS}. Cloudflare's test keys work besides. */
  widgets?: readonly EmulatorWidget[];
  /** Faults waiting from the start. */
  faults?: readonly Fault[];
  /** Random bytes for tokens. Default `crypto.getRandomValues`. */
  random?: (bytes: number) => Uint8Array;
}

/**
 * A fault of siteverify. With `spend` the token is validated (and spent) first, and only the answer is spoilt.
 *
 * - `fail`: answers an error code, default `internal-error`
 * - `delay`: answers as usual, `ms` milliseconds later
 * - `hang`: never answers
 * - `status`: answers a status, default 503, and no JSON
 * - `html`: answers 200 and a web page
 * - `oversized`: answers as usual, with `bytes` (1000000) of padding
 * - `redirect`: answers 307, default to a path of the emulator that accepts everything
 * - `drop`: breaks the answer off; here `spend` is true unless set
 */
export type SiteverifyFault = { spend?: boolean } & (
  | { kind: "fail"; code?: string }
  | { kind: "delay"; ms: number }
  | { kind: "hang" | "html" | "drop" }
  | { kind: "status"; status?: number }
  | { kind: "oversized"; bytes?: number }
  | { kind: "redirect"; to?: string }
);

/**
 * A fault of the next challenge in a browser, of one `sitekey` or of all.
 *
 * - `error`: ends in this client error, reported `repeat` (1) times
 * - `interaction`: asks a person, who has `timeout` (120000) milliseconds
 * - `expire`: the token expires on the page after `after` (0) milliseconds
 * - `slow`: takes `ms` milliseconds
 * - `unsupported`: the browser counts as unsupported
 * - `unresponsive`: the frame falls silent
 */
export type ChallengeFault = { sitekey?: string } & (
  | { kind: "error"; code: number; repeat?: number }
  | { kind: "interaction"; timeout?: number }
  | { kind: "expire"; after?: number }
  | { kind: "slow"; ms: number }
  | { kind: "unsupported" | "unresponsive" }
);

/** A fault of loading: the browser refuses the frame; the script answers `status` (503). */
export type LoadFault = { kind: "block-frame" } | { kind: "block-script"; status?: number };

/** What shall go wrong, the next `times` (1) times. */
export type Fault = { times?: number } & (SiteverifyFault | ChallengeFault | LoadFault);

/** What `control.mint` takes. */
export interface MintOptions {
  /** Default: the first widget's. */
  sitekey?: string;
  action?: string;
  cdata?: string;
  /** Default `localhost`. */
  hostname?: string;
  /** Whether a person ticked a box. Default false. */
  interactive?: boolean;
  /** As an Enterprise account's answer has it, `x:...`. Default: none. */
  ephemeralId?: string;
}

/** How often each part was asked, and how many tokens were made, since the start. */
export interface EmulatorCounts {
  scripts: number;
  frames: number;
  challenges: number;
  tokens: number;
  siteverify: number;
}

/** What a test does to the emulator; over HTTP: `POST /turnstile/control/<name>` with a JSON object. */
export interface EmulatorControl {
  /** A valid token without a browser. @throws {TypeError} unknown sitekey, or an action or cdata that no widget could have */
  mint(options?: MintOptions): string;
  /** Puts a fault in line; each place (siteverify, challenge, frame, script) has a line of its own. @throws {TypeError} */
  fault(fault: Fault): void;
  /** Drops all faults in line. */
  clear(): void;
  /** Moves the clock on by `ms` milliseconds; its new reading. */
  advance(ms: number): number;
  counts(): EmulatorCounts;
}

/** A local Turnstile. Both members are closures. */
export interface TurnstileEmulator {
  /** Serves everything below `/turnstile/`, 404 for other paths. Takes what `fetch` takes, so it can stand in for it. */
  fetch(input: Request | string | URL, init?: unknown): Promise<Response>;
  readonly control: EmulatorControl;
}
