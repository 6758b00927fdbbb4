import { bag, listOf, oneOf, type Rules } from "../util/options.ts";
import type { EmulatorWidget } from "./types.ts";

/** Sitekey of the widget for demos and tests: invisible, passes, on every hostname. */
export const EMULATOR_SITEKEY = "0x4EMULATORINVISIBLE";
/** Secret of {@link EMULATOR_SITEKEY}. Only the emulator knows it; it protects nothing. */
export const EMULATOR_SECRET = "0x4EMULATORINVISIBLE_SECRET";

/** The widgets an emulator has unless told otherwise: invisible, non-interactive, managed, and one that always asks a person. */
export const EMULATOR_WIDGETS: readonly EmulatorWidget[] = [
  { sitekey: EMULATOR_SITEKEY, secrets: [EMULATOR_SECRET], mode: "invisible" },
  { sitekey: "0x4EMULATORNONINTERACTIVE", secrets: ["0x4EMULATORNONINTERACTIVE_SECRET"], mode: "non-interactive" },
  { sitekey: "0x4EMULATORMANAGED", secrets: ["0x4EMULATORMANAGED_SECRET"], mode: "managed" },
  { sitekey: "0x4EMULATORINTERACTIVE", secrets: ["0x4EMULATORINTERACTIVE_SECRET"], mode: "managed", interactive: true },
];

/** What Cloudflare's test sitekeys all give. */
export const DUMMY_TOKEN = "XXXX.DUMMY.TOKEN.XXXX";

/** Cloudflare's test sitekeys: the mode, and whether the challenge blocks or asks. */
export const TEST_SITEKEYS: ReadonlyMap<string, { mode: "managed" | "invisible"; blocks?: boolean; asks?: boolean }> =
  /* @__PURE__ */ new Map([
    ["1x00000000000000000000AA", { mode: "managed" }],
    ["2x00000000000000000000AB", { mode: "managed", blocks: true }],
    ["1x00000000000000000000BB", { mode: "invisible" }],
    ["2x00000000000000000000BB", { mode: "invisible", blocks: true }],
    ["3x00000000000000000000FF", { mode: "managed", asks: true }],
  ]);

/** Cloudflare's test secrets: the error code of their answer, undefined for the one that passes. */
export const TEST_SECRETS: ReadonlyMap<string, string | undefined> = /* @__PURE__ */ new Map([
  ["1x0000000000000000000000000000000AA", undefined],
  ["2x0000000000000000000000000000000AA", "invalid-input-response"],
  ["3x0000000000000000000000000000000AA", "timeout-or-duplicate"],
]);

/** Whether a page of this hostname may use the widget: an entry covers its sub-domains. */
export function hostnameAllowed(widget: EmulatorWidget, hostname: string): boolean {
  return widget.hostnames?.some((entry) => hostname === entry || hostname.endsWith(`.${entry}`)) ?? true;
}

const RULES: Rules<EmulatorWidget> = {
  sitekey: /^[0-9A-Za-z_-]{3,100}$/,
  // A text is no list: every part of it would be a secret.
  secrets: listOf("string"),
  mode: oneOf("managed", "non-interactive", "invisible"),
  hostnames: listOf(/^[a-z0-9._-]+$/),
  interactive: "boolean",
  disabled: "boolean",
};

/** @throws {TypeError} none, a sitekey twice or one that no page could render, a secret that two widgets have, a URL for a hostname */
export function assertWidgets(widgets: readonly EmulatorWidget[]): void {
  listOf(bag(RULES, "sitekey secrets"))("widgets", widgets);
  const keys = widgets.flatMap(({ sitekey, secrets }) => [sitekey, ...secrets]);
  if (keys.length === 0 || new Set(keys).size < keys.length) {
    throw new TypeError('Invalid "widgets": expected one or more, each sitekey and each secret once');
  }
}
