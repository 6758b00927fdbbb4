/**
 * A local Turnstile for development and tests: a stand-in for `api.js` and for `siteverify`, with single use, expiry, idempotency,
 * hostnames, action and cdata as the real one has them, which its test keys lack.
 *
 * @example
 * ```ts
 * import { createTurnstileEmulator, EMULATOR_SECRET } from "gatepass/emulator";
 * import { createTurnstile } from "gatepass/turnstile";
 *
 * const emulator = createTurnstileEmulator();
 * const turnstile = createTurnstile({
 *   secret: EMULATOR_SECRET,
 *   allowedHostnames: ["localhost"],
 *   allowTestKeys: true,
 *   fetch: emulator.fetch,
 * });
 * const token = emulator.control.mint({ action: "score_submit" });
 * const result = await turnstile.verify(token, { action: "score_submit" });
 * console.assert(result.ok);
 * ```
 *
 * @module
 */
import { any, assertOptions, listOf, type Rules } from "../util/options.ts";
import { randomBytes } from "../util/random.ts";
import { API_SCRIPT, API_VERSION, FRAME_SCRIPT } from "./api.gen.ts";
import { challenge } from "./challenge.ts";
import { createControl, overHttp } from "./control.ts";
import { createFaults } from "./faults.ts";
import { siteverify } from "./siteverify.ts";
import type { EmulatorState } from "./state.ts";
import { createTokenBook } from "./tokens.ts";
import type { EmulatorOptions, TurnstileEmulator } from "./types.ts";
import { assertWidgets, EMULATOR_WIDGETS, TEST_SITEKEYS } from "./widgets.ts";

export type * from "./types.ts";
export { EMULATOR_SECRET, EMULATOR_SITEKEY, EMULATOR_WIDGETS } from "./widgets.ts";

/**
 * An emulator. It serves `/turnstile/v0/api.js` (a redirect to the script's version on the same host), `/turnstile/v0/siteverify` and `/turnstile/control/<name>`; a page embeds the script from it,
 * a server passes `fetch` (or the URL as `siteverifyUrl`) to its Turnstile. Its answers carry `metadata.emulator: true`, which a gate accepts
 * only with `allowTestKeys`.
 *
 * @throws {TypeError} an option, a widget or a fault that cannot be
 */
export function createTurnstileEmulator(options: EmulatorOptions = {}): TurnstileEmulator {
  const rules: Rules<EmulatorOptions> = { clock: "function", widgets: any, faults: listOf(any), random: "function" };
  assertOptions("createTurnstileEmulator", options, rules);
  const { clock = Date.now, widgets = EMULATOR_WIDGETS, faults = [], random = randomBytes } = options;
  assertWidgets(widgets);
  let offset = 0;
  const now = (): number => clock() + offset;
  const state: EmulatorState = {
    clock: now,
    widgets,
    tokens: createTokenBook(now, random),
    faults: createFaults(faults),
    counts: { scripts: 0, frames: 0, challenges: 0, tokens: 0, siteverify: 0 },
  };
  const control = createControl(state, (ms) => {
    offset += ms;
  });
  return {
    control,
    async fetch(input, init) {
      // Servers pass something of their own as second argument; callers of `fetch` pass a request's parts, and no Request.
      const request = input instanceof Request ? input : new Request(input, typeof init === "object" && init !== null ? init : {});
      const { pathname, search, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/turnstile/v0/api.js":
          return script(state, search);
        case `/turnstile/v0/g/${API_VERSION}/api.js`:
          return javascript(API_SCRIPT);
        case "/turnstile/v0/siteverify":
          return uncached(await siteverify(request, state));
        case "/turnstile/v0/accept":
          // Where the fault "redirect" leads: whoever follows it believes everything.
          return Response.json({
            success: true,
            challenge_ts: new Date(now()).toISOString(),
            hostname: "localhost",
            metadata: { emulator: true },
          });
        case "/turnstile/v0/frame":
          return frame(state, searchParams.get("sitekey") ?? "");
        case "/turnstile/v0/frame.js":
          return javascript(FRAME_SCRIPT);
        case "/turnstile/v0/challenge":
          return ownFrame(request) ? uncached(await challenge(request, state)) : new Response(null, { status: 403 });
      }
      const verb = /^\/turnstile\/control\/([a-z]+)$/.exec(pathname)?.[1];
      return verb === undefined ? new Response(null, { status: 404 }) : uncached(await overHttp(request, verb, control));
    },
  };
}

/** Redirects to the path of this version on the same host, as the real one does. */
function script(state: EmulatorState, query: string): Response {
  state.counts.scripts += 1;
  const fault = state.faults.load("block-script");
  if (fault?.kind === "block-script") return new Response(null, { status: fault.status ?? 503 });
  return embeddable(new Response(null, { status: 302, headers: { location: `/turnstile/v0/g/${API_VERSION}/api.js${query}` } }));
}

function frame(state: EmulatorState, sitekey: string): Response {
  state.counts.frames += 1;
  const blocked = state.faults.load("block-frame") !== undefined;
  const widget = TEST_SITEKEYS.get(sitekey) ?? state.widgets.find((one) => one.sitekey === sitekey);
  const html = `<!doctype html><html lang="en" data-mode="${widget?.mode ?? "managed"}"><meta charset="utf-8"><title>Turnstile emulator</title><body><script src="frame.js"></script></body></html>`;
  const headers = {
    "content-type": "text/html; charset=utf-8",
    // A page with Cross-Origin-Embedder-Policy shows only frames that have one, too.
    "cross-origin-embedder-policy": "require-corp",
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'",
    ...(blocked ? { "x-frame-options": "DENY" } : {}),
  };
  return embeddable(new Response(html, { headers }));
}

/** Tokens are handed to the emulator's own frame only: a page that asks by itself would skip the challenge it wants to test. */
function ownFrame(request: Request): boolean {
  const origin = request.headers.get("origin");
  return request.method === "POST" && origin !== null && URL.canParse(origin) && new URL(origin).host === new URL(request.url).host;
}

function javascript(text: string): Response {
  return embeddable(new Response(text, { headers: { "content-type": "text/javascript; charset=utf-8" } }));
}

/** For pages of every origin, isolated ones too. */
function embeddable(response: Response): Response {
  response.headers.set("cross-origin-resource-policy", "cross-origin");
  return uncached(response);
}

function uncached(response: Response): Response {
  response.headers.set("cache-control", "no-store");
  return response;
}
