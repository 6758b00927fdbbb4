/**
 * The classic script, for pages without a bundler: `window.gatepass` has `createClient`, and is a client itself when the tag says which:
 * `<script src="client.global.js" data-sitekey="0x4..." data-start></script>`, then `gatepass.submitScore({ score: 1 })`.
 */
import { createClient, isGatepassError } from "./index.ts";
import type { Client } from "./types.ts";

/** What the page finds as `window.gatepass`. */
export type GatepassGlobal = { createClient: typeof createClient; isGatepassError: typeof isGatepassError } & Partial<Client>;

/** Loaded twice, the first one stays. (An element with that id is no client.) */
const there: Partial<GatepassGlobal> | undefined = Reflect.get(window, "gatepass");

if (!there?.createClient) {
  const exported = { createClient, isGatepassError };
  Object.assign(window, { gatepass: exported });
  const script = document.currentScript;
  if (script instanceof HTMLScriptElement && script.dataset["sitekey"] !== undefined) {
    // Those of ours, one by one: other tools leave their own attributes on a page's tags.
    const { sitekey = "", baseUrl, action, container, theme, language, nonce = script.nonce, scriptUrl, start } = script.dataset;
    // Through JSON: without what is undefined. `createClient` checks the rest.
    const given = JSON.parse(JSON.stringify({ baseUrl, action, container, theme, language, nonce, scriptUrl }));
    const client = createClient(Object.assign({ sitekey }, given));
    Object.assign(window, { gatepass: Object.assign(client, exported) });
    // Nobody waits for it here; the state and the next call tell.
    if (start !== undefined && start !== "false") client.start().catch(() => {});
  }
}
