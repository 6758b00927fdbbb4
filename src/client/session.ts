import type { GatepassError } from "../errors.ts";
import { SESSION_PATH } from "../protocol.ts";
import type { Broker } from "./broker.ts";
import { type Context, failure } from "./context.ts";
import { post } from "./http.ts";
import { refused } from "./response.ts";

/** What a write takes along. */
export interface Pass {
  /** Empty: the gate runs dry, no credential is needed. Undefined: no session can be had (now, or without a signing secret), a fresh Turnstile token does it. */
  token: string | undefined;
  /** Why there is none just now. */
  error: GatepassError | undefined;
  /** Milliseconds to live. */
  left(): number;
}

/** The session of one client, in memory only. */
export interface Sessions {
  /** With at least `minLife` seconds to live; single flight. */
  get(minLife?: number): Promise<Pass>;
  /** What is there and alive, without a challenge. */
  peek(): Pass | undefined;
  /** The gate refuses this one. */
  drop(pass: Pass | undefined): void;
  /** Refreshes when it is time; `ended` (a hold): also what expired meanwhile. */
  tick(ended?: boolean): void;
  /** The player token, kept by the page or for this visit. */
  player(): string | undefined;
  close(): void;
}

export function createSessions(context: Context, { mint }: Broker): Sessions {
  /** Seconds that a session must live to be sent. */
  const MIN_LIFE = 5;
  /** Seconds for which a dry run is taken for granted. */
  const DRY_LIFE = 300;
  /** Seconds for which a gate without sessions is taken to stay without: a page's life. */
  const EVER = 1_000_000;
  const { refreshBefore, player: keeper } = context;
  let current: Pass | undefined;
  /** Milliseconds before the expiry. */
  let early = 0;
  let flight: Promise<Pass> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let known: unknown;

  const peek = (): Pass | undefined => (current?.token && current.left() > 0 ? current : undefined);
  // A page whose storage is closed, or gives what is no token, has a visitor without a past, and no error.
  const player = (): string | undefined => {
    try {
      known ??= keeper.load();
    } catch {}
    return typeof known === "string" && /^[\w.-]{1,4096}$/.test(known) ? known : undefined;
  };

  const exchange = async (): Promise<Pass> => {
    const turnstileToken = await mint({}, true);
    // From before the request on: the gate's clock starts later, and its time is never compared with ours.
    const wall = Date.now();
    const mono = performance.now();
    const answer = await post(context, SESSION_PATH, { turnstileToken, playerToken: player() });
    const { status } = answer.response;
    const { sessionToken, expiresIn = DRY_LIFE, dryRun, playerToken } = answer.data;
    const token = status === 200 ? (dryRun ? "" : sessionToken) : undefined;
    let life = expiresIn;
    let error: GatepassError | undefined;
    if (status === 404) life = EVER;
    else if (token === undefined) {
      context.enter("failed");
      error = refused(answer);
      life = 0;
      // Refused; but over a limit or down, the gate may still take a fresh token.
      if (/4[01]/.test(`${status}`)) throw error;
    }
    // By the stricter of two clocks: one stands still in a sleeping device, the other may be set back.
    const left = (): number => life * 1000 - Math.max(Date.now() - wall, performance.now() - mono);
    current = { token, left, error };
    early = Math.min(refreshBefore, life / 2) * 1000;
    tick();
    if (playerToken) {
      known = playerToken;
      try {
        keeper.save(playerToken);
      } catch {}
    }
    return current;
  };

  const refresh = (): Promise<Pass> => {
    flight ??= exchange().finally(() => {
      flight = undefined;
    });
    return flight;
  };

  const tick = (ended?: boolean): void => {
    clearTimeout(timer);
    // Expired while the page slept: the next write gets one, just in time.
    if (!current?.token || (!peek() && !ended)) return;
    const wait = current.left() - early;
    if (wait > 0) timer = setTimeout(tick, wait);
    else if (navigator.onLine !== false && !document.hidden && !context.held) refresh().catch(() => {});
  };

  return {
    async get(minLife = MIN_LIFE) {
      const isLong = (pass: Pass): boolean => pass.left() >= minLife * 1000;
      const pass = current && isLong(current) ? current : await refresh();
      if (!isLong(pass) && !pass.error) throw failure("CONFIG", "minLife");
      return pass;
    },
    peek,
    drop(pass) {
      if (pass === current) current = undefined;
    },
    tick,
    player,
    close: () => clearTimeout(timer),
  };
}
