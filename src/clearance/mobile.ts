import { isGatepassError } from "../errors.ts";
import type { Kernel, Route } from "../gate/types.ts";
import { encodeBase64url } from "../util/base64url.ts";
import { MOBILE_SCRIPT } from "./mobile.gen.ts";
import type { Settled } from "./options.ts";
import { type ChallengeClaims, MAX_CHALLENGE } from "./tokens.ts";

/**
 * `GET /mobile-turnstile?challenge_id=`: the page that a native app shows in a WebView. It holds no secret, and nothing
 * of it is cached.
 */
export function mobileRoute({ clearanceTokens, mobilePath, bridgeOrigins, scriptUrl }: Settled, { options, clock, random }: Kernel): Route {
  return {
    method: "GET",
    path: mobilePath,
    base: false,
    async handle(ctx) {
      const id = ctx.url.searchParams.get("challenge_id") ?? "";
      let challenge: ChallengeClaims | undefined;
      // Render the widget only for a challenge that this gate signed. Otherwise anybody could use this page to collect
      // tokens of our sitekey.
      try {
        challenge = await clearanceTokens.readChallenge(id.length > MAX_CHALLENGE ? "" : id);
      } catch (error) {
        if (!isGatepassError(error)) throw error;
        // An expired challenge of ours still gets a page, since the app waits for its message TURNSTILE_EXPIRED.
        const expired = error.code === "ERR_TOKEN_EXPIRED";
        const [reason, code] = [expired ? "challenge_expired" : "challenge_invalid", "SECURITY_VERIFICATION_FAILED"] as const;
        ctx.emit("turnstile_siteverify_failed", { outcome: "deny", reason, code });
        if (!expired) return ctx.refuse(code);
      }
      const nonce = encodeBase64url(random(16));
      const data = {
        ...(challenge && { sitekey: options.sitekey, action: challenge.act, cdata: challenge.jti, script: scriptUrl }),
        origins: bridgeOrigins.join(" "),
        expires: challenge ? Math.max(0, Math.floor(challenge.exp - clock() / 1000)) : 0,
      };
      return new Response(page(nonce, data), {
        status: challenge ? 200 : 403,
        headers: {
          "content-type": "text/html; charset=utf-8",
          "content-security-policy": policyOf(nonce, new URL(scriptUrl).origin, bridgeOrigins),
          "cache-control": "no-store",
          "cdn-cache-control": "no-store",
          "x-content-type-options": "nosniff",
          // The challenge is in the URL. The provider's script is to learn the origin only.
          "referrer-policy": "strict-origin",
        },
      });
    },
  };
}

function policyOf(nonce: string, provider: string, parents: readonly string[]): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' ${provider}`,
    `style-src 'nonce-${nonce}'`,
    `frame-src ${provider}`,
    `connect-src ${provider}`,
    "base-uri 'none'",
    "form-action 'none'",
    `frame-ancestors ${parents.join(" ") || "'none'"}`,
  ].join("; ");
}

function page(nonce: string, data: Record<string, string | number | undefined>): string {
  const attributes = Object.entries(data).map(([name, value]) => `data-${name}="${escapeHtml(String(value ?? ""))}"`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Security check</title>
<style nonce="${nonce}">${STYLE}</style>
<body ${attributes.join(" ")}>
<main><p id="status" role="status">Checking that you are human</p><div id="widget"></div><button id="retry" type="button" hidden>Try again</button></main>
<noscript>This check needs JavaScript.</noscript>
<script id="code" nonce="${nonce}">${MOBILE_SCRIPT}</script>
</body>
</html>
`;
}

const STYLE =
  ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}" +
  "body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText;overflow:hidden}" +
  "main{display:grid;gap:1rem;justify-items:center;padding:1rem;text-align:center}p{margin:0}" +
  "button{font:inherit;padding:.6rem 1.4rem;border-radius:.6rem;border:1px solid currentColor;background:transparent;color:inherit}" +
  "button:focus-visible{outline:3px solid Highlight;outline-offset:2px}";

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
