/**
 * The browser's side of a gate: solves a Turnstile challenge that nobody sees, keeps the session in memory, and sends it with every write.
 *
 * @example
 * ```ts
 * import { createClient } from "gatepass/client";
 *
 * const client = createClient({ sitekey: "0x4AAAAAAAexample", baseUrl: "https://game.example/api" });
 * async function gameOver(score: number): Promise<string> {
 *   if (!(await client.qualifies(score))) return "Not this time";
 *   const { rank } = await client.submitScore({ score, name: "Ada" });
 *   return `You are number ${rank}`;
 * }
 * console.assert(client.state === "idle" && typeof gameOver === "function");
 * client.close();
 * ```
 *
 * @module
 */
import { BASE_PATH, REFRESH_BEFORE, SCORE_ACTION } from "../protocol.ts";
import { createBroker } from "./broker.ts";
import { createFetch, post } from "./http.ts";
import { createScores } from "./scores.ts";
import { createSessions } from "./session.ts";
import { addressOf, assertKnown, type Context, failure, race, type Settings } from "./state.ts";
import type { Client, ClientOptions, ClientState } from "./types.ts";

export { type ErrorCode, GatepassError, isGatepassError } from "../errors.ts";
export type { PublicScore, ScoreReceipt } from "../protocol.ts";
export type { Client, ClientOptions, ClientState, Refusal, ScoreSubmission } from "./types.ts";

/** What an option may not be, beyond its type. */
const WRONG = /^(sitekey=(?![\w-]{3,100}$)|action=(?![\w-]{1,32}$)|theme=(?!(auto|light|dark)$)|(refreshBefore|watchdogMs)=\D)/;

/**
 * A client: one widget per token, one challenge per session, nothing stored by itself. Nothing is loaded before the first call that needs it,
 * so it may be created anywhere; two clients on one page share the script.
 *
 * Errors are GatepassErrors: `ERR_CLIENT_SCRIPT` and `ERR_CLIENT_BLOCKED` (script or frame did not come up), `ERR_CLIENT_TIMEOUT`,
 * `ERR_CLIENT_CHALLENGE`, `ERR_CLIENT_UNSUPPORTED`, `ERR_CLIENT_CONFIG` (the `cause` is Turnstile's number or error), `ERR_CLIENT_OFFLINE`,
 * `ERR_CLIENT_BUSY`, `ERR_CLIENT_ABORTED`, `ERR_CLIENT_REFUSED` (the `cause` is a {@link Refusal}) and `ERR_CLIENT_CLOSED`. After any of them
 * but the last the next call starts afresh. A page with Trusted Types lists `gatepass` under `trusted-types`.
 *
 * @throws {TypeError} an option that does not exist or has a value it cannot have
 *
 * @example
 * ```ts
 * import { createClient } from "gatepass/client";
 *
 * const client = createClient({ sitekey: "0x4AAAAAAAexample", onState: (state) => console.log(state) });
 * const release = client.hold(); // a game begins: no challenge, no refresh
 * release();
 * client.close();
 * console.assert(client.state === "closed");
 * ```
 */
export function createClient(options: ClientOptions): Client {
  const settings: Settings & Record<string, unknown> = {
    sitekey: "",
    baseUrl: BASE_PATH,
    origins: [],
    action: SCORE_ACTION,
    label: "Security check",
    nonce: "",
    // Exactly Cloudflare's address, never proxied.
    scriptUrl: "https://challenges.cloudflare.com/turnstile/v0/api.js",
    refreshBefore: REFRESH_BEFORE,
    watchdogMs: 12_000,
    theme: "auto",
    language: "auto",
    player: { load: () => null, save() {} },
    fetch: (input, init) => fetch(input, init),
    onState() {},
  };
  for (const [name, value] of Object.entries<unknown>({ ...settings, ...options })) {
    const usual: unknown = settings[name];
    const chosen = value ?? usual;
    const right =
      name === "container" ? /string|object/.test(typeof (value ?? "")) : Object.hasOwn(settings, name) && typeof chosen === typeof usual;
    if (!right || WRONG.test(`${name}=${chosen}`)) throw new TypeError(`Invalid option "${name}"`);
    settings[name] = chosen;
  }
  const { onState, fetch: send, player } = settings;
  // A page that cannot keep its player would not notice.
  if (!player.load || !player.save) throw new TypeError('Invalid option "player"');
  const ending = new AbortController();
  const closing = ending.signal;
  let state: ClientState = "idle";
  const context: Context = {
    ...settings,
    closing,
    held: 0,
    enter(next) {
      if (next === state || state === "closed") return;
      state = next;
      // Never inside Turnstile's callback: an exception there would break the widget, and `close()` would remove it while it is in use.
      queueMicrotask(() => onState(next));
    },
  };
  const ours = context.origins.map((origin) => new URL(origin).origin);
  const base = context.baseUrl.replace(/\/$/, "");
  const broker = createBroker(context);
  const sessions = createSessions(context, broker, (path, body) => post(context, send, addressOf(base + path).href, body));
  /** Whatever is under way ends with the client. */
  const open =
    <A extends unknown[], T>(work: (...given: A) => Promise<T>): ((...given: A) => Promise<T>) =>
    async (...given) => {
      closing.throwIfAborted();
      return race(work(...given), closing);
    };
  const isOurs = (url: string): boolean => [...ours, addressOf(base).origin].includes(new URL(url).origin);
  const guarded = createFetch(isOurs, send, sessions, broker);
  const { scores, commit, submitScore, qualifies } = createScores(base, guarded);
  // That of visibility bubbles up to the window. There is none where pages are only rendered.
  for (const event of ["pagehide", "pageshow", "online", "visibilitychange"]) {
    globalThis.addEventListener?.(
      event,
      () => {
        if (/page/.test(event)) broker.update(event === "pagehide");
        sessions.tick();
      },
      { signal: closing },
    );
  }

  const session: Client["session"] = async (wish = {}) => {
    assertKnown(wish, "minLife");
    const { token = "", error } = await sessions.get(wish.minLife);
    if (error) throw error;
    return token;
  };

  return {
    get state() {
      return state;
    },
    start: open(async () => {
      await session();
    }),
    token: open(async (wish = {}) => {
      assertKnown(wish, "action cdata signal");
      return broker.mint(wish);
    }),
    session: open(session),
    fetch: open(guarded),
    scores: open(scores),
    commit: open(commit),
    submitScore: open(submitScore),
    qualifies: open(qualifies),
    hold() {
      let held = 1;
      context.held += held;
      broker.update();
      return () => {
        context.held -= held;
        held = 0;
        broker.update();
        sessions.tick(true);
      };
    },
    close() {
      context.enter("closed");
      ending.abort(failure("CLOSED"));
      sessions.close();
      broker.close();
    },
  };
}
