import { assertKeys, assertOneOf } from "../util/assertions.ts";
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

/** @throws {TypeError} none, a sitekey twice or one that no page could render, a secret that two widgets have, a URL for a hostname */
export function assertWidgets(widgets: readonly EmulatorWidget[]): void {
  for (const widget of widgets) {
    assertKeys("widget", widget, ["sitekey", "secrets", "mode", "hostnames", "interactive", "disabled"]);
    assertOneOf("mode", widget.mode ?? "managed", ["managed", "non-interactive", "invisible"]);
    if (!/^[0-9A-Za-z_-]{3,100}$/.test(widget.sitekey)) throw new TypeError('Invalid "sitekey": expected 3 to 100 of [0-9A-Za-z_-]');
    if (widget.hostnames?.some((name) => !/^[a-z0-9._-]+$/.test(name))) throw new TypeError('Invalid "hostnames": expected bare names');
  }
  const keys = widgets.flatMap(({ sitekey, secrets }) => [sitekey, ...secrets]);
  if (keys.length === 0 || new Set(keys).size < keys.length) {
    throw new TypeError('Invalid "widgets": expected one or more, each sitekey and each secret once');
  }
}
