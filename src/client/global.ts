/**
 * The classic script, for pages without a bundler: `window.gatepass` has `createClient`, and is a client itself when the tag says which:
 * `<script src="client.global.js" data-sitekey="0x4..." data-start></script>`, then `gatepass.submitScore({ score: 1 })`.
 */
import { failure } from "./context.ts";
import { createClient, isGatepassError } from "./index.ts";
import type { Client } from "./types.ts";

/** What the page finds as `window.gatepass`. Without a client, as with a wrong attribute, the client's methods reject and say what the tag lacks. */
export type GatepassGlobal = { createClient: typeof createClient; isGatepassError: typeof isGatepassError } & Client;

/** Loaded twice, the first one stays. (An element with that id is no client.) */
const there: Partial<GatepassGlobal> | undefined = Reflect.get(window, "gatepass");

if (!there?.createClient) {
  const script = document.currentScript;
  const data = script instanceof HTMLScriptElement ? script.dataset : {};
  const publish = (client: Client): void => {
    Object.assign(window, { gatepass: Object.assign(client, { createClient, isGatepassError }) });
  };
  try {
    publish(clientOf(data, script?.nonce));
  } catch (error) {
    publish(noClient(error));
    // A page may use the script for `createClient` alone.
    if (data["sitekey"] !== undefined) throw error;
  }
}

function clientOf(data: DOMStringMap, ownNonce: string | undefined): Client {
  // Those of ours, one by one: other tools leave their own attributes on a page's tags.
  const { sitekey = "", baseUrl, action, container, theme, language, sessionHeader, nonce = ownNonce, scriptUrl, start } = data;
  if (!/^[\w-]{3,100}$/.test(sitekey)) {
    throw new TypeError(`Invalid "data-sitekey" of the script tag: put the sitekey of your Turnstile widget there, not "${sitekey}"`);
  }
  // Through JSON: without what is undefined. `createClient` checks the rest, and an option goes by the name of its attribute.
  const given = JSON.parse(JSON.stringify({ sitekey, baseUrl, action, container, theme, language, sessionHeader, nonce, scriptUrl }));
  const client = named(() => createClient(given));
  // Nobody waits for it here; the state and the next call tell.
  if (start !== undefined && start !== "false") client.start().catch(() => {});
  return client;
}

function named<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    const attribute = (name: string): string => `data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    const text = error instanceof Error ? error.message : `${error}`;
    throw new TypeError(text.replace(/option "(\w+)"/, (_, name: string) => `"${attribute(name)}" of the script tag`));
  }
}

/** In a client's place: each call says why there is none. */
function noClient(error: unknown): Client {
  const refuse = async (): Promise<never> => {
    throw failure("CONFIG", error);
  };
  const nothing = (): void => {};
  return {
    state: "failed",
    start: refuse,
    token: refuse,
    session: refuse,
    fetch: refuse,
    commit: refuse,
    submitScore: refuse,
    qualifies: refuse,
    scores: refuse,
    hold: () => nothing,
    close: nothing,
  };
}
