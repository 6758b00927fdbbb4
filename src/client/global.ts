/**
 * The classic script, for pages without a bundler: `window.gatepass` has `createClient`, and is a client itself when the tag says which:
 * `<script src="client.global.js" data-sitekey="0x4..." data-start></script>`, then `gatepass.submitScore({ score: 1 })`.
 */
import { createClient, isGatepassError } from "./index.ts";
import type { Client } from "./types.ts";

/** What the page finds as `window.gatepass`. */
export type GatepassGlobal = { createClient: typeof createClient; isGatepassError: typeof isGatepassError } & Partial<Client>;

if (!("gatepass" in window)) {
  const exported = { createClient, isGatepassError };
  Object.assign(window, { gatepass: exported });
  const script = document.currentScript;
  if (script instanceof HTMLScriptElement && script.dataset["sitekey"] !== undefined) {
    const { start, ...data } = script.dataset;
    const client = createClient(Object.assign({ nonce: script.nonce, sitekey: "" }, data));
    Object.assign(window, { gatepass: Object.assign(client, exported) });
    // Nobody waits for it here; the state and the next call tell.
    if (start !== undefined && start !== "false") client.start().catch(() => {});
  }
}
