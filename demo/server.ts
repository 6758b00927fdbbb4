/** The demo's fetch handler: the gate, the page's files, in development the emulator; for everything else a friendly 404. */
import { contentSecurityPolicy } from "gatepass";
import { assets } from "../dist/demo/assets.js";
import { createDemoGate, type DemoEnv, type DemoGate, type Storage } from "./gate.ts";
import { isLoopback } from "./loopback.ts";

/** What the entries serve. */
export interface Demo {
  mode: DemoGate["mode"];
  /** `second` and `third`: what the runtime passes besides the request. */
  fetch(request: Request, second?: unknown, third?: unknown): Promise<Response>;
  /** As `fetch`: there is no path that the demo leaves to others. For `toNode`. */
  handle(request: Request, second?: unknown, third?: unknown): Promise<Response>;
}

/** @throws {TypeError} in production, where something that it needs is not set */
export function createDemo(env: DemoEnv, storage: Storage): Demo {
  const demo = createDemoGate(env, storage);
  const pages = new Map(["/", "/protected"].map((path) => [path, render(demo, path)]));
  async function handle(request: Request, second?: unknown, third?: unknown): Promise<Response> {
    const url = new URL(request.url);
    if (demo.emulator && url.pathname.startsWith("/turnstile/") && isLoopback(request, second)) return demo.emulator.fetch(request);
    const answer = await demo.routes(request, second, third);
    if (answer) return answer;
    if (/^\/(api\/|mobile-turnstile$)/.test(url.pathname)) return demo.gate.fetch(request, second, third);
    return file(request, url.pathname, pages);
  }
  return { mode: demo.mode, fetch: handle, handle };
}

/** The policy of our pages: nothing but our own files and Turnstile, nothing inline, no frame around us. */
const POLICY: string = contentSecurityPolicy({
  "default-src": "'none'",
  "script-src": "'self'",
  "style-src": "'self'",
  "img-src": "'self'",
  "connect-src": "'self'",
  "frame-src": "'self'",
  "base-uri": "'none'",
  "form-action": "'none'",
  "frame-ancestors": "'none'",
});

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
};

type Page = { type: string; body: string; etag: string };

function file(request: Request, path: string, pages: ReadonlyMap<string, Page>): Response {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("Method not allowed\n", { status: 405, headers: { ...HEADERS, "content-type": "text/plain", allow: "GET, HEAD" } });
  }
  const known = path !== "/404" && Object.hasOwn(assets, path);
  const asset = pages.get(path) ?? assets[known ? path : "/404"];
  if (!asset) return new Response("Not found\n", { status: 404, headers: { ...HEADERS, "content-type": "text/plain" } });
  const { type, body, etag } = asset;
  const headers = { ...HEADERS, "content-type": type, "cache-control": known ? "no-cache" : "no-store", ...(known && { etag }) };
  if (known && request.headers.get("if-none-match") === etag) return new Response(null, { status: 304, headers });
  return new Response(request.method === "HEAD" ? null : body, { status: known ? 200 : 404, headers });
}

/** A page with what it has to know of the gate. */
function render({ mode, sitekey, scriptUrl }: DemoGate, path: string): Page {
  const values: Record<string, string> = { mode, sitekey, scriptUrl };
  const { type = "text/html; charset=utf-8", body = "", etag = '""' } = assets[path] ?? {};
  const filled = body.replace(/\{\{(\w+)\}\}/g, (_, name: string) => escaped(values[name] ?? ""));
  return { type, body: filled, etag: `${etag.slice(0, -1)}-${mode}-${sitekey.replace(/[^\w-]/g, "")}"` };
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
