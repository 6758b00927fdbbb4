import { type FromFrame, MARK, type ToFrame } from "./messages.ts";
import { callBack, type Params, TurnstileError, warn } from "./params.ts";

/** Milliseconds after which a silent frame is asked for a sign of life, and after which it counts as dead. */
const QUIET = 5_000;
const DEAD = 40_000;
/** What a retry takes besides `retry-interval`. */
const RETRY_EXTRA = 2_000;
/** The family of errors after which no retry is ever scheduled: the visitor's clock is wrong. */
const NEVER_RETRIED = 200_100;
/** A frame that hung or crashed: tried again at once, also where `retry` is `never`. */
const CRASHED = [300_030, 300_031];

const SIZES: Record<string, [width: string, height: string]> = {
  normal: ["300px", "65px"],
  compact: ["150px", "140px"],
  flexible: ["100%", "65px"],
};

/** One widget: its nodes, its frame and what it knows. */
export interface Widget {
  readonly id: string;
  readonly container: Element;
  readonly wrapper: HTMLElement;
  readonly params: Params;
  readonly executing: boolean;
  readonly token: string | undefined;
  readonly expired: boolean;
  /** Runs a challenge, at once or when the frame is ready. */
  run(): void;
  /** Hands the token that is there out again. */
  repeat(): void;
  reset(): void;
  remove(): void;
  /** About every second: whether the frame still answers. */
  look(): void;
  hear(message: FromFrame): void;
  owns(source: unknown): boolean;
}

/** What a widget is made of. */
export interface WidgetParts {
  id: string;
  container: Element;
  params: Params;
  /** Of the script: the frame is beside it. */
  base: URL;
  /** There is a field under reCAPTCHA's name, too. */
  compat: boolean;
}

export function createWidget({ id, container, params, base, compat }: WidgetParts): Widget {
  const { fixed, callbacks } = params;
  const wrapper = document.createElement("div");
  const host = document.createElement("div");
  const iframe = document.createElement("iframe");
  const fields: HTMLInputElement[] = [];
  let run = 0;
  let ready = false;
  let executing = false;
  let interactive = false;
  let expired = false;
  /** Known from the frame's first word on. */
  let mode: string | undefined;
  let token: string | undefined;
  let heard = 0;
  let asked = 0;
  let timers: number[] = [];

  iframe.title = "Turnstile emulator";
  iframe.tabIndex = fixed.tabindex;
  iframe.style.border = "0";
  // A page that is isolated (COOP and COEP) may have a frame that is, too.
  iframe.allow = "cross-origin-isolated; fullscreen";
  host.attachShadow({ mode: "closed" }).append(iframe);
  wrapper.append(host);
  if (fixed.responseField) addField(fixed.responseFieldName, `${id}_response`);
  if (compat) addField("g-recaptcha-response", `${id}_g_response`);
  load();
  container.append(wrapper);

  function addField(name: string, fieldId: string): void {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, id: fieldId });
    fields.push(field);
    wrapper.append(field);
  }

  /** A fresh frame; what the one before still says is ignored. */
  function load(): void {
    run += 1;
    ready = false;
    interactive = false;
    heard = 0;
    asked = 0;
    stop();
    const query = new URLSearchParams({ sitekey: fixed.sitekey, id, run: String(run), theme: fixed.theme, lang: fixed.language });
    iframe.src = `${new URL("/turnstile/v0/frame", base)}?${query}`;
    show();
  }

  function show(): void {
    const wanted = fixed.appearance === "always" || (fixed.appearance === "execute" && (executing || token !== undefined)) || interactive;
    const visible = wanted && mode !== undefined && mode !== "invisible";
    // The page learns what mode a widget has from its frame: only then the size can be wrong for it.
    if (visible && fixed.size === "invisible") throw new TurnstileError(`Invalid parameter "size": the widget is ${mode}`, 2817);
    const [width, height] = (visible ? SIZES[fixed.size] : undefined) ?? ["1px", "1px"];
    // Set property by property: a style attribute would need 'unsafe-inline' in the page's policy.
    Object.assign(iframe.style, { width, height });
    Object.assign(host.style, visible ? { position: "", left: "" } : { position: "absolute", left: "-9999px" });
    Object.assign(host.style, { width, height, minWidth: visible && fixed.size === "flexible" ? "300px" : "" });
  }

  function tell(message: { event: "ping" } | { event: "run"; action: string; cdata: string }): void {
    const whole: ToFrame = { mark: MARK, run, ...message };
    iframe.contentWindow?.postMessage(whole, base.origin);
  }

  function go(): void {
    asked = 0;
    heard = Date.now();
    if (ready) tell({ event: "run", action: params.action, cdata: params.cdata });
  }

  function later(ms: number, then: () => void): void {
    timers.push(window.setTimeout(then, ms));
  }

  function stop(): void {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
  }

  function keep(value: string | undefined): void {
    token = value;
    fill(value ?? "");
  }

  function fill(value: string): void {
    for (const field of fields) field.value = value;
  }

  function restart(): void {
    load();
    executing = true;
    go();
    show();
  }

  function reset(): void {
    keep(undefined);
    expired = false;
    executing = false;
    load();
    if (fixed.execution === "render") self.run();
  }

  function succeed(value: string, life: number): void {
    executing = false;
    keep(value);
    expired = false;
    show();
    later(Math.min(life, fixed.expiryInterval), () => {
      expired = true;
      const current = run;
      callBack(callbacks["expired-callback"], value);
      if (fixed.refreshExpired === "auto" && run === current && wrapper.isConnected) reset();
    });
    callBack(callbacks.callback, value, false);
  }

  function fail(code: number): void {
    executing = false;
    interactive = false;
    show();
    fill("");
    const crashed = CRASHED.includes(code);
    const again = (): void => {
      stop();
      later(crashed ? 0 : fixed.retryInterval + RETRY_EXTRA, restart);
    };
    const { retry } = fixed;
    if (retry === "auto" && code !== NEVER_RETRIED) again();
    const callback = callbacks["error-callback"];
    if (callback === undefined) {
      if (retry !== "auto" && crashed) again();
      throw new TurnstileError(`Challenge failed with error ${code}, and nobody listens`, 3076);
    }
    const current = run;
    if (callBack(callback, String(code)) === true) return;
    if (retry !== "auto" && crashed && run === current) again();
    console.error(`[Turnstile emulator] Challenge failed with error ${code}.`);
  }

  const self: Widget = {
    id,
    container,
    wrapper,
    params,
    get executing() {
      return executing;
    },
    get token() {
      return token;
    },
    get expired() {
      return expired;
    },
    run() {
      // A retry that waits would run into this one.
      stop();
      executing = true;
      go();
      show();
    },
    repeat: () => void callBack(callbacks.callback, token, false),
    reset,
    remove() {
      run = -1;
      stop();
      wrapper.remove();
    },
    look() {
      if (!executing || !ready) return;
      if (asked !== 0 && Date.now() - asked > DEAD - QUIET) {
        asked = 0;
        fail(300_030);
      } else if (asked === 0 && Date.now() - heard > QUIET) {
        asked = Date.now();
        tell({ event: "ping" });
      }
    },
    owns: (source) => source === iframe.contentWindow,
    hear(message) {
      if (message.run !== run) return;
      heard = Date.now();
      asked = 0;
      switch (message.event) {
        case "hello":
          ready = true;
          mode = message.mode;
          show();
          if (executing) go();
          break;
        case "ask":
          interactive = true;
          show();
          callBack(callbacks["before-interactive-callback"]);
          break;
        case "ticked":
          interactive = false;
          show();
          callBack(callbacks["after-interactive-callback"]);
          break;
        case "token":
          succeed(message.token, message.life);
          break;
        case "timeout":
          executing = false;
          interactive = false;
          keep(undefined);
          show();
          callBack(callbacks["timeout-callback"]);
          if (message.run !== run || fixed.refreshTimeout !== "auto") break;
          callBack(callbacks["after-interactive-callback"]);
          if (message.run === run) reset();
          break;
        case "unsupported":
          if (callbacks["unsupported-callback"] === undefined) fail(110_500);
          else {
            executing = false;
            callBack(callbacks["unsupported-callback"]);
          }
      }
      if (message.event === "error") fail(message.code);
    },
  };
  if (fixed.execution === "render") self.run();
  if (!container.isConnected) warn("A widget was rendered into an element that is not in the document.");
  return self;
}
