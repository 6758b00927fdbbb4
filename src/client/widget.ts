import type { GatepassError } from "../errors.ts";
import type { Layer } from "./layer.ts";
import { scriptOf, type TurnstileApi } from "./loader.ts";
import { type Context, failure, type What } from "./state.ts";

/**
 * A widget lives for one token: render, execute, settle, remove. No `reset` and no second `execute`,
 * so "already executing" and "parameters changed" cannot occur and an old token cannot come again.
 */
export interface Widget {
  /** Its frame has come up, and is neither failed nor torn out of the document. */
  usable(): boolean;
  /** Executes the challenge, once. */
  run(): Promise<string>;
  /** Removes it with its timer and listener; again does nothing. */
  drop(): void;
}

/** Milliseconds that a person gets. */
const PERSON = 120_000;
/** Milliseconds that a timer may be late before it must have slept. */
const LATE = 5_000;

/** Renders one widget in a slot of its own. Never throws: what goes wrong comes out of `run`. */
export function createWidget(api: TurnstileApi, layer: Layer, context: Context, action: string, cdata?: string): Widget {
  const { sitekey, theme = "auto", language = "auto" } = context.options;
  let slot: HTMLElement | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let id = "";
  let alive = false;
  let running = false;
  let failed = false;
  let asked = false;
  let resolve: (token: string) => void;
  let reject: (error: unknown) => void;
  const outcome = new Promise<string>((...settle) => {
    [resolve, reject] = settle;
  });
  // A spare may fail while nobody waits for it.
  outcome.catch(() => {});

  const fail = (what: What, cause?: unknown): void => {
    failed = true;
    clearTimeout(timer);
    reject(failure(what, cause));
  };
  /** Waits for the next sign of life. After the first, any message of its frame, Turnstile itself gives up at 40 s. */
  const watch = (): void => {
    clearTimeout(timer);
    if (!running || failed) return;
    const ms = asked ? PERSON : alive ? context.watchdog * 4 : context.watchdog;
    const since = Date.now();
    timer = setTimeout(() => {
      // A timer that comes late slept (a hidden tab, a closed lid), and so did the challenge: it gets its time again.
      if (document.hidden || Date.now() - since > ms + LATE) watch();
      else fail(alive ? "TIMEOUT" : "BLOCKED");
    }, ms);
  };
  const heard = ({ origin }: MessageEvent): void => {
    if (alive || origin !== scriptOf(context).origin) return;
    alive = true;
    watch();
  };
  const ask = (now: boolean): void => {
    asked = now;
    alive = true;
    layer.show(now);
    context.enter(now ? "interactive" : "loading");
    watch();
  };
  addEventListener("message", heard);
  try {
    slot = layer.slot();
    id = api.render(slot, {
      sitekey,
      action,
      theme,
      language,
      ...(cdata && { cData: cdata }),
      execution: "execute",
      appearance: "interaction-only",
      retry: "never",
      "refresh-expired": "never",
      "refresh-timeout": "never",
      "response-field": false,
      callback: (token: string) => {
        clearTimeout(timer);
        resolve(token);
      },
      // Only an exact true keeps the console quiet.
      "error-callback": (number: unknown) => {
        fail(familyOf(`${number}`), `${number}`);
        return true;
      },
      "expired-callback": () => {},
      "timeout-callback": () => fail("TIMEOUT"),
      "unsupported-callback": () => fail("UNSUPPORTED"),
      "before-interactive-callback": () => ask(true),
      "after-interactive-callback": () => ask(false),
    });
  } catch (error) {
    fail("CONFIG", error);
  }
  return {
    usable: () => alive && !failed && !!slot?.isConnected,
    async run() {
      running = true;
      watch();
      if (!failed) api.execute(id);
      return outcome;
    },
    drop() {
      fail("ABORTED");
      removeEventListener("message", heard);
      if (asked) layer.show(false);
      asked = false;
      // One that left the document was dropped by Turnstile itself and would be warned about.
      if (id && slot?.isConnected) api.remove(id);
      slot?.remove();
    },
  };
}

/** What one more widget may mend. */
export function isRetryable({ code, cause }: GatepassError): boolean {
  return code === "ERR_CLIENT_SCRIPT" || /^(10[2346]|110600|[36]00)/.test(`${cause}`);
}

/** Turnstile's families of error numbers. */
function familyOf(number: string): What {
  if (/^(105|110[1-4]|4000)/.test(number)) return "CONFIG";
  if (/^1105/.test(number)) return "UNSUPPORTED";
  if (/^1106/.test(number)) return "TIMEOUT";
  return number === "200500" ? "BLOCKED" : "CHALLENGE";
}
