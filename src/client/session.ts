import type { GatepassError } from "../errors.ts";
import { PATH, REFRESH_BEFORE } from "../protocol.ts";
import { type Answer, refused } from "./answer.ts";
import type { Broker } from "./broker.ts";
import { type Context, failure } from "./state.ts";

/** What a write takes along. */
export interface Pass {
  /** Empty: the gate runs dry, no credential is needed. Undefined: no session can be had, a fresh Turnstile token does it. */
  token: string | undefined;
  /** Why there is none. */
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

/** Seconds that a session must live to be sent. */
const MIN_LIFE = 5;
/** Seconds for which a dry run is taken for granted. */
const DRY_LIFE = 300;

/** @param post sends JSON to a path of the gate, without a credential; rejects with ERR_CLIENT_OFFLINE */
export function createSessions(context: Context, { mint }: Broker, post: (path: string, body: unknown) => Promise<Answer>): Sessions {
  const { refreshBefore = REFRESH_BEFORE, player: keeper } = context.options;
  let current: Pass | undefined;
  /** Milliseconds before the expiry. */
  let early = 0;
  let flight: Promise<void> | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let known: string | undefined;

  const peek = (): Pass | undefined => (current && current.left() > 0 ? current : undefined);
  // A page whose storage is closed has a visitor without a past, and no error.
  const player = (): string | undefined => {
    try {
      known ??= keeper?.load() ?? undefined;
    } catch {}
    return known;
  };

  async function exchange(): Promise<void> {
    const turnstileToken = await mint({}, true);
    // From before the request on: the gate's clock starts later, and its time is never compared with ours.
    const [wall, mono] = [Date.now(), performance.now()];
    const answer = await post(PATH.session, { turnstileToken, playerToken: player() });
    const { status } = answer.response;
    const { sessionToken, expiresIn = DRY_LIFE, dryRun, playerToken } = answer.data;
    const token = status !== 200 ? undefined : dryRun ? "" : typeof sessionToken === "string" ? sessionToken : undefined;
    const error = token === undefined ? refused(answer) : undefined;
    if (error) context.enter("failed");
    // Refused; but without a secret (404), over a limit or down, the gate may still take a fresh token.
    if (error && /40[^4]|41/.test(`${status}`)) throw error;
    const life = !error ? Number(expiresIn) : status === 404 ? Number.POSITIVE_INFINITY : 0;
    current = {
      token,
      error,
      // By the stricter of two clocks: one stands still in a sleeping device, the other may be set back.
      left: () => life * 1000 - Math.max(Date.now() - wall, performance.now() - mono),
    };
    early = Math.min(refreshBefore, life / 2) * 1000;
    tick();
    if (typeof playerToken !== "string") return;
    known = playerToken;
    try {
      keeper?.save(playerToken);
    } catch {}
  }

  function refresh(): Promise<void> {
    flight ??= exchange().finally(() => {
      flight = undefined;
    });
    return flight;
  }

  function tick(ended?: boolean): void {
    clearTimeout(timer);
    // Expired while the page slept: the next write gets one, just in time.
    if (!current?.token || (!peek() && !ended)) return;
    const wait = current.left() - early;
    if (wait > 0) timer = setTimeout(tick, wait);
    else if (!document.hidden && !context.held && navigator.onLine !== false) refresh().catch(() => {});
  }

  return {
    async get(minLife = MIN_LIFE) {
      const missing = (): boolean => !(current && current.left() >= minLife * 1000);
      if (missing()) await refresh();
      if (!current || (missing() && !current.error)) throw failure("CONFIG", "no session lives that long");
      return current;
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
