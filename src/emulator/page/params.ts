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

/** Parameters as a page gives them. */
export type Given = Record<string, unknown>;

const CALLBACKS = [
  "callback",
  "error-callback",
  "expired-callback",
  "timeout-callback",
  "before-interactive-callback",
  "after-interactive-callback",
  "unsupported-callback",
] as const;

/** What the page gave, functions or not: what is none fails when it is called. */
export type Callbacks = { [name in (typeof CALLBACKS)[number]]?: unknown };

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
  /** Milliseconds. */
  retryInterval: number;
  /** Milliseconds after which a token counts as expired on the page. */
  expiryInterval: number;
  refreshExpired: string;
  refreshTimeout: string;
  responseField: boolean;
  responseFieldName: string;
}

/** Checked parameters, with their defaults. */
export interface Params {
  fixed: Fixed;
  /** As given by the page and the element, for a later comparison. */
  raw: Given;
  action: string;
  cdata: string;
  callbacks: Callbacks;
}

/** Parameters with a closed list of values: the list, the default first, and the error of another value. */
const LISTS: Record<string, [values: readonly string[], code: number]> = {
  size: [["normal", "compact", "invisible", "flexible"], 3590],
  theme: [["auto", "dark", "light"], 3591],
  retry: [["auto", "never"], 3592],
  appearance: [["always", "execute", "interaction-only"], 3600],
  execution: [["render", "execute"], 3601],
  "refresh-expired": [["auto", "manual", "never"], 3603],
  "refresh-timeout": [["auto", "manual", "never"], 3603],
};
/** Parameters in milliseconds: the default, and the first value that is too much. */
const INTERVALS: Record<string, [standard: number, limit: number]> = {
  "retry-interval": [8000, 900_000],
  "expiry-interval": [290_000, 360_000],
};
/** What `execute` and a second `render` must not change. */
const FIXED = [
  ...Object.keys(LISTS),
  "retry-interval",
  "sitekey",
  "tabindex",
  "language",
  "response-field",
  "response-field-name",
  "feedback-enabled",
];
const LANGUAGE = /^(auto|[a-z]{2,3}([-_][a-z]{2})?)$/i;

/** The parameters of a widget: those given win over the element's `data-*`, undefined ones too. @throws {TurnstileError} */
export function readParams(element: Element, given: Given): Params {
  const raw: Given = { ...readElement(element), ...given };
  const { sitekey } = raw;
  if (typeof sitekey !== "string") throw invalid("sitekey", sitekey, "a string", 3588);
  if (!/^[0-9A-Za-z_-]{3,100}$/.test(sitekey)) throw invalid("sitekey", sitekey, "a sitekey", 3589);
  for (const [name, [[standard], code]] of Object.entries(LISTS)) {
    raw[name] ??= standard;
    if (!listed(name, raw[name])) throw invalid(name, raw[name], `one of ${LISTS[name]?.[0].join(", ")}`, code);
  }
  for (const [name, [standard, limit]] of Object.entries(INTERVALS)) {
    raw[name] = Number(raw[name] ?? standard);
    if (!inside(name, raw[name])) throw invalid(name, raw[name], `milliseconds below ${limit}`, 3602);
  }
  raw["language"] = language(raw["language"]);
  const text = (name: string): string => String(raw[name]);
  const fixed: Fixed = {
    sitekey,
    size: text("size"),
    theme: text("theme"),
    retry: text("retry"),
    appearance: text("appearance"),
    execution: text("execution"),
    retryInterval: Number(raw["retry-interval"]),
    expiryInterval: Number(raw["expiry-interval"]),
    refreshExpired: text("refresh-expired"),
    refreshTimeout: text("refresh-timeout"),
    language: text("language"),
    tabindex: tabindex(raw["tabindex"] ?? 0),
    responseField: Boolean(raw["response-field"] ?? true),
    responseFieldName: String(raw["response-field-name"] ?? "cf-turnstile-response"),
  };
  const callbacks: Callbacks = {};
  for (const name of CALLBACKS) if (raw[name] !== undefined) callbacks[name] = raw[name];
  return { fixed, raw, action: action(raw["action"]), cdata: cdata(raw["cData"]), callbacks };
}

/** Gives a rendered widget new callbacks, action and cData. @throws {TurnstileError} 3618: another parameter differs from that of render */
export function changeParams(params: Params, given: Given): void {
  const differs = FIXED.find((name) => given[name] !== undefined && given[name] !== params.raw[name]);
  if (differs !== undefined) throw new TurnstileError(`Cannot change the parameter "${differs}" of a widget after render`, 3618);
  if (given["action"] !== undefined && given["action"] !== "") params.action = action(given["action"]);
  if (given["cData"] !== undefined && given["cData"] !== "") params.cdata = cdata(given["cData"]);
  for (const name of CALLBACKS) if (given[name] !== undefined) params.callbacks[name] = given[name];
}

/** Calls what a page gave for a callback. @throws {TypeError} it is no function */
export function callBack(callback: unknown, ...values: unknown[]): unknown {
  if (callback === undefined || callback === null) return undefined;
  if (typeof callback !== "function") throw new TypeError(`[Turnstile emulator] A callback is not a function but a ${typeof callback}`);
  return callback(...values);
}

/** The `data-*` of an element. What is wrong there only warns, and what is empty counts as absent. */
function readElement(element: Element): Given {
  const read = (name: string): string | undefined => element.getAttribute(`data-${name}`) ?? undefined;
  const data: Given = { sitekey: read("sitekey"), action: read("action"), cData: read("cdata") };
  const keep = (name: string, usable: (value: string) => unknown): void => {
    const value = read(name) || undefined;
    const kept = value === undefined ? undefined : usable(value);
    if (kept !== undefined) data[name] = kept;
    else if (value !== undefined) warn(`Unknown value of data-${name}: "${value}". It is ignored.`);
  };
  for (const name of Object.keys(LISTS)) keep(name, (value) => (listed(name, value) ? value : undefined));
  for (const name of Object.keys(INTERVALS)) {
    keep(name, (value) => (inside(name, Number.parseInt(value, 10)) ? Number.parseInt(value, 10) : undefined));
  }
  keep("language", (value) => (LANGUAGE.test(value) ? value : undefined));
  keep("tabindex", (value) => Number.parseInt(value, 10));
  keep("response-field-name", (value) => value);
  for (const name of ["response-field", "feedback-enabled"]) {
    keep(name, (value) => (value === "true" || value === "false" ? value === "true" : undefined));
    data[name] ??= true;
  }
  // An element can only name a function of the page.
  for (const name of CALLBACKS) {
    keep(name, (value) => (typeof Reflect.get(window, value) === "function" ? Reflect.get(window, value) : undefined));
  }
  return data;
}

function listed(name: string, value: unknown): boolean {
  return LISTS[name]?.[0].some((one) => one === value) ?? false;
}

function inside(name: string, value: unknown): boolean {
  return typeof value === "number" && value > 0 && value < (INTERVALS[name]?.[1] ?? 0);
}

function action(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "string" || !/^[a-z0-9_-]{0,32}$/i.test(value)) throw invalid("action", value, "32 of [a-z0-9_-]", 3604);
  return value;
}

function cdata(value: unknown): string {
  if (value === undefined) return "";
  if (typeof value !== "string" || !/^[a-z0-9_=-]{0,255}$/i.test(value)) throw invalid("cData", value, "255 of [a-z0-9_=-]", 3605);
  return value;
}

function language(value: unknown): string {
  if (value === undefined || value === "") return "auto";
  if (typeof value === "string" && LANGUAGE.test(value)) return value;
  warn(`Parameter "language" is not "auto" or like "en" or "en-US": using "auto".`);
  return "auto";
}

function tabindex(value: unknown): number {
  if (Number.isInteger(Number(value))) return Number(value);
  warn('Parameter "tabindex" is not an integer: using 0.');
  return 0;
}

function invalid(name: string, value: unknown, expected: string, code: number): TurnstileError {
  const got = typeof value === "string" && name !== "sitekey" ? JSON.stringify(value) : value === null ? "null" : typeof value;
  return new TurnstileError(`Invalid parameter "${name}": expected ${expected}, got ${got}`, code);
}
