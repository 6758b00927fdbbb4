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

/** Renders one widget in a slot of its own. Never throws: what goes wrong comes out of `run`. */
export function createWidget(api: TurnstileApi, layer: Layer, context: Context, action: string, cdata?: string): Widget {
  const { sitekey, theme, language, watchdogMs } = context;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let slot: HTMLElement | undefined;
  let id = "";
  let alive = false;
  let asked = false;
  let failed: GatepassError | undefined;
  let waiting: { resolve(token: string): void; reject(error: unknown): void } | undefined;

  const fail = (what: What, cause?: unknown): void => {
    clearTimeout(timer);
    failed ??= failure(what, cause);
    waiting?.reject(failed);
  };
  /** Waits for the next sign of life. After the first, any message of its frame, Turnstile itself gives up at 40 s. */
  const watch = (): void => {
    clearTimeout(timer);
    if (!waiting || failed) return;
    // A person gets two minutes.
    const ms = asked ? 120_000 : alive ? watchdogMs * 4 : watchdogMs;
    const since = Date.now();
    timer = setTimeout(() => {
      // A timer that comes late slept (a hidden tab, a closed lid), and so did the challenge: it gets its time again.
      if (document.hidden || Date.now() - since > ms + 5_000) watch();
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
      cData: cdata,
      execution: "execute",
      appearance: "interaction-only",
      retry: "never",
      "refresh-expired": "never",
      "refresh-timeout": "never",
      "response-field": false,
      callback: (token: string) => {
        clearTimeout(timer);
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
    usable: () => alive && !failed && slot?.isConnected === true,
    run: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        if (failed) throw failed;
        watch();
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

/** Turnstile's families of error numbers. */
function familyOf(number: string): What {
  const families: Record<string, What> = { 1105: "UNSUPPORTED", 1106: "TIMEOUT", 2005: "BLOCKED" };
  return families[number.slice(0, 4)] ?? (/^(105|110|400)/.test(number) ? "CONFIG" : "CHALLENGE");
}
