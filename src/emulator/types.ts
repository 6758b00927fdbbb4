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

/** A fault of siteverify. With `spend`, the token is validated (and spent) first, and only the answer is spoilt. */
export type SiteverifyFault = { spend?: boolean } & (
  | /** Answers this error code, default `internal-error`. */ { kind: "fail"; code?: string }
  | /** Answers as usual, after `ms` milliseconds. */ { kind: "delay"; ms: number }
  | /** Never answers. */ { kind: "hang" }
  | /** Answers with a status, default 503, and no JSON. */ { kind: "status"; status?: number }
  | /** Answers 200 with a web page. */ { kind: "html" }
  | /** Answers 200 with a valid answer inside `bytes` of JSON, default a million. */ { kind: "oversized"; bytes?: number }
  | /** Answers 307, default to a path of the emulator that accepts everything. */ { kind: "redirect"; to?: string }
  | /** Breaks the answer off. `spend` is true unless set. */ { kind: "drop" }
);

/** A fault of the next challenge in a browser. */
export type ChallengeFault = { sitekey?: string } & (
  | /** The challenge ends in this client error, reported `repeat` (1) times. */ { kind: "error"; code: number; repeat?: number }
  | /** A person is asked, and has `timeout` milliseconds, default 120000. */ { kind: "interaction"; timeout?: number }
  | /** The token expires on the page after `after` milliseconds, default 0. */ { kind: "expire"; after?: number }
  | /** The challenge takes `ms` milliseconds. */ { kind: "slow"; ms: number }
  | /** The browser counts as unsupported. */ { kind: "unsupported" }
  | /** The frame falls silent. */ { kind: "unresponsive" }
);

/** A fault of loading: the frame is refused by the browser, the script answers `status` (default 503). */
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
