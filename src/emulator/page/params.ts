/** Errors of the page's calls: the numbers are those that a page meets with the real script, the words are ours. */
export class TurnstileError extends Error {
  override readonly name = "TurnstileError";
  readonly code: number;
  constructor(message: string, code: number) {
    super(`[Turnstile emulator] ${message} (${code})`);
    this.code = code;
  }
}

export function warn(message: string): void {
  console.warn(`[Turnstile emulator] ${message}`);
}

type Callback = (...values: unknown[]) => unknown;
/** Parameters as a page gives them. */
export type Given = Record<string, unknown>;

export interface Callbacks {
  callback?: Callback;
  "error-callback"?: Callback;
  "expired-callback"?: Callback;
  "timeout-callback"?: Callback;
  "before-interactive-callback"?: Callback;
  "after-interactive-callback"?: Callback;
  "unsupported-callback"?: Callback;
}

/** What cannot be changed between render and execute. */
export interface Fixed {
  sitekey: string;
  execution: string;
  appearance: string;
  theme: string;
  language: string;
  tabindex: number;
  size: string;
  retry: string;
  retryInterval: number;
  refreshExpired: string;
  refreshTimeout: string;
  responseField: boolean;
  responseFieldName: string;
  feedback: boolean;
}

/** Checked parameters, with their defaults. */
export interface Params {
  fixed: Fixed;
  action: string;
  cdata: string;
  callbacks: Callbacks;
}

const CALLBACKS = [
  "callback",
  "error-callback",
  "expired-callback",
  "timeout-callback",
  "before-interactive-callback",
  "after-interactive-callback",
  "unsupported-callback",
] as const;

/** The parameters of a widget: those given win over the element's `data-*`. @throws {TurnstileError} */
export function readParams(element: Element, given: Given): Params {
  const read = (name: string): unknown => given[name] ?? element.getAttribute(`data-${name.toLowerCase()}`) ?? undefined;
  const oneOf = (name: string, allowed: readonly string[], code: number): string => {
    const value = read(name) ?? allowed[0];
    const found = allowed.find((one) => one === value);
    if (found === undefined) throw invalid(name, value, `one of ${allowed.join(", ")}`, code);
    return found;
  };
  const text = (name: string, pattern: RegExp, code: number): string => {
    const value = read(name) ?? "";
    if (typeof value !== "string" || !pattern.test(value)) throw invalid(name, value, String(pattern), code);
    return value;
  };
  const sitekey = read("sitekey");
  if (typeof sitekey !== "string") throw invalid("sitekey", sitekey, "a string", 3588);
  if (!/^[0-9A-Za-z_-]{3,100}$/.test(sitekey)) throw invalid("sitekey", sitekey, "a sitekey", 3589);
  const retryInterval = Number(read("retry-interval") ?? 8000);
  if (!(retryInterval > 0 && retryInterval < 900_000)) throw invalid("retry-interval", retryInterval, "milliseconds below 900000", 3602);
  const fixed: Fixed = {
    sitekey,
    size: oneOf("size", ["normal", "flexible", "compact"], 3590),
    theme: oneOf("theme", ["auto", "light", "dark"], 3591),
    retry: oneOf("retry", ["auto", "never"], 3592),
    appearance: oneOf("appearance", ["always", "execute", "interaction-only"], 3600),
    execution: oneOf("execution", ["render", "execute"], 3601),
    retryInterval,
    refreshExpired: oneOf("refresh-expired", ["auto", "manual", "never"], 3603),
    refreshTimeout: oneOf("refresh-timeout", ["auto", "manual", "never"], 3603),
    language: language(read("language") ?? "auto"),
    tabindex: tabindex(read("tabindex") ?? 0),
    responseField: flag(read("response-field")),
    responseFieldName: String(read("response-field-name") ?? "cf-turnstile-response"),
    feedback: flag(read("feedback-enabled")),
  };
  const action = text("action", /^[a-z0-9_-]{0,32}$/i, 3604);
  const cdata = text("cData", /^[a-z0-9_=-]{0,255}$/i, 3605);
  return { fixed, action, cdata, callbacks: readCallbacks(read) };
}

function readCallbacks(read: (name: string) => unknown): Callbacks {
  const callbacks: Callbacks = {};
  for (const name of CALLBACKS) {
    const value = read(name);
    // An element can only name a function of the page.
    const found = typeof value === "string" ? Reflect.get(window, value) : value;
    if (isCallback(found)) callbacks[name] = found;
    else if (value !== undefined) warn(`Parameter "${name}" is not a function: it is never called.`);
  }
  return callbacks;
}

function isCallback(value: unknown): value is Callback {
  return typeof value === "function";
}

function language(value: unknown): string {
  if (typeof value === "string" && /^(auto|[a-z]{2,3}(-[a-z]{2})?)$/i.test(value)) return value;
  warn(`Parameter "language" is not "auto" or like "en" or "en-US": using "auto".`);
  return "auto";
}

function tabindex(value: unknown): number {
  if (Number.isInteger(Number(value))) return Number(value);
  warn('Parameter "tabindex" is not an integer: using 0.');
  return 0;
}

function flag(value: unknown): boolean {
  return value !== false && value !== "false";
}

function invalid(name: string, value: unknown, expected: string, code: number): TurnstileError {
  return new TurnstileError(`Invalid parameter "${name}": expected ${expected}, got ${typeof value}`, code);
}
