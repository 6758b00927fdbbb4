import type { GatepassError } from "../errors.ts";
import { type Context, failure, type What } from "./context.ts";
import { scriptOf, type TurnstileApi } from "./loader.ts";
import type { Layer } from "./widget-layer.ts";

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

/** Renders one widget in a slot of its own. Never throws: what goes wrong comes out of `run`. */
export function createWidget(api: TurnstileApi, layer: Layer, context: Context, action: string, cdata?: string): Widget {
  const { sitekey, theme, language, watchdogMs } = context;
  let timer: ReturnType<typeof setInterval> | undefined;
  /** Milliseconds without a sign of life. */
  let quiet = 0;
  let slot: HTMLElement | undefined;
  let id = "";
  let alive = false;
  let asked = false;
  let failed: GatepassError | undefined;
  let waiting: { resolve(token: string): void; reject(error: unknown): void } | undefined;

  const fail = (what: What, cause?: unknown): void => {
    clearInterval(timer);
    failed ??= failure(what, cause);
    waiting?.reject(failed);
  };
  /**
   * Looks after the challenge, twice a second. Only these looks count as time, not the clock: a page that sleeps (a closed lid) loses nothing, a
   * hidden one, whose timers are slow, waits longer, and one that only says it is hidden does not wait for ever. After the first sign of life,
   * any message of its frame, Turnstile itself gives up at 40 s.
   */
  const look = (): void => {
    quiet += LOOK;
    if (!layer.holds(slot)) fail("BLOCKED", "removed");
    else if (asked && !layer.lift()) fail("ABORTED", "closed");
    // A person gets two minutes.
    else if (quiet >= (asked ? 120_000 : alive ? watchdogMs * 4 : watchdogMs)) fail(alive ? "TIMEOUT" : "BLOCKED");
  };
  const heard = ({ origin }: MessageEvent): void => {
    if (alive || origin !== scriptOf(context).origin) return;
    alive = true;
    quiet = 0;
  };
  const ask = (now: boolean): void => {
    asked = now;
    alive = true;
    quiet = 0;
    layer.show(now);
    context.enter(now ? "interactive" : "loading");
  };
  addEventListener("message", heard);
  try {
    slot = layer.slot();
    id = api.render(slot, {
      sitekey,
      action,
      theme,
      language,
      cData: cdata,
      execution: "execute",
      appearance: "interaction-only",
      retry: "never",
      "refresh-expired": "never",
      "refresh-timeout": "never",
      "response-field": false,
      callback: (token: string) => {
        clearInterval(timer);
        waiting?.resolve(token);
      },
      // Only an exact true keeps the console quiet.
      "error-callback": (number: unknown) => {
        fail(familyOf(`${number}`), `${number}`);
        return true;
      },
      "timeout-callback": () => fail("TIMEOUT"),
      "unsupported-callback": () => fail("UNSUPPORTED"),
      "before-interactive-callback": () => ask(true),
      "after-interactive-callback": () => ask(false),
    });
  } catch (error) {
    fail("CONFIG", error);
  }
  return {
    usable: () => alive && !failed && layer.holds(slot),
    run: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        if (failed) throw failed;
        timer = setInterval(look, LOOK);
        api.execute(id);
      }),
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

/** Milliseconds between two looks at a challenge. */
const LOOK = 500;

/** Turnstile's families of error numbers. */
function familyOf(number: string): What {
  if (/^1105/.test(number)) return "UNSUPPORTED";
  if (/^1106/.test(number)) return "TIMEOUT";
  if (/^2005/.test(number)) return "BLOCKED";
  return /^(105|110|400)/.test(number) ? "CONFIG" : "CHALLENGE";
}
