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
import { addressOf, type Context, createOpen, failure, type Settings } from "./context.ts";
import { createFetch } from "./fetch.ts";
import { createScores } from "./scores.ts";
import { createSessions } from "./session.ts";
import type { Client, ClientOptions, ClientState } from "./types.ts";

export { type ErrorCode, GatepassError, isGatepassError } from "../errors.ts";
export type { PublicScore, ScoreReceipt } from "../protocol.ts";
export type { Client, ClientOptions, ClientState, Refusal, ScoreSubmission } from "./types.ts";

/** What an option may not be, beyond its type. */
const WRONG =
  /^(sitekey=(?![\w-]{3,100}$)|action=(?![\w-]{1,32}$)|theme=(?!(auto|light|dark)$)|sessionHeader=(?!(authorization|x-gatepass-session)$)|(refreshBefore|watchdogMs)=\D)/;

/**
 * A client: one widget per token, one challenge per session, nothing stored by itself. Nothing is loaded before the first call that needs it,
 * so it may be created anywhere; two clients on one page share the script.
 *
 * Errors are GatepassErrors: `ERR_CLIENT_SCRIPT` and `ERR_CLIENT_BLOCKED` (script or frame did not come up), `ERR_CLIENT_TIMEOUT`,
 * `ERR_CLIENT_CHALLENGE`, `ERR_CLIENT_UNSUPPORTED`, `ERR_CLIENT_CONFIG` (the `cause` is Turnstile's number or error, or what is wrong with the
 * page or the call), `ERR_CLIENT_OFFLINE` (a request could not be sent, or was blocked on its way), `ERR_CLIENT_REDIRECT` (the gate's address leads
 * elsewhere, where no credential follows), `ERR_CLIENT_BUSY`, `ERR_CLIENT_ABORTED` (by your signal, or the person closed the box),
 * `ERR_CLIENT_REFUSED` (the `cause` is a {@link Refusal}) and `ERR_CLIENT_CLOSED`. After any of them but the last the next call starts afresh.
 * A page with Trusted Types lists `gatepass` under `trusted-types`.
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
    container: "",
    label: "Security check",
    nonce: "",
    // Exactly Cloudflare's address, never proxied.
    scriptUrl: "https://challenges.cloudflare.com/turnstile/v0/api.js",
    refreshBefore: REFRESH_BEFORE,
    watchdogMs: 12_000,
    theme: "auto",
    language: "auto",
    sessionHeader: "authorization",
    player: { load: () => null, save() {} },
    fetch: (input, init) => fetch(input, init),
    onState() {},
  };
  for (const [name, value] of Object.entries<unknown>({ ...settings, ...options })) {
    const usual: unknown = settings[name];
    const chosen = value ?? usual;
    // A page that cannot keep its player would not notice.
    const { load, save } = Object(chosen);
    const right =
      Object.hasOwn(settings, name) &&
      (typeof chosen === typeof usual || (name === "container" && typeof chosen === "object")) &&
      (name !== "player" || (load && save));
    if (!right || WRONG.test(`${name}=${chosen}`)) throw new TypeError(`Invalid option "${name}"`);
    settings[name] = chosen;
  }
  const { onState } = settings;
  const ending = new AbortController();
  const closing = ending.signal;
  const open = createOpen(closing);
  let state: ClientState = "idle";
  const context: Context = {
    ...settings,
    baseUrl: settings.baseUrl.replace(/\/$/, ""),
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
  const broker = createBroker(context);
  const sessions = createSessions(context, broker);
  const isOurs = (url: string): boolean => [...ours, addressOf(context.baseUrl).origin].includes(new URL(url).origin);
  const guarded = createFetch(context, isOurs, sessions, broker);
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

  const session: Client["session"] = async ({ minLife } = {}) => {
    const { token = "", error } = await sessions.get(minLife);
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
    token: open((wish) => broker.mint(wish), "action cdata signal"),
    session: open(session, "minLife"),
    fetch: open(guarded),
    ...createScores(context, guarded, open),
    hold() {
      let held = 1;
      context.held++;
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
