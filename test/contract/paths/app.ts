import { clearance } from "../../../src/clearance/index.ts";
import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Gate } from "../../../src/gate/types.ts";
import { memoryStore } from "../../../src/store/index.ts";

/** The routes of every server under attack, as routers without parameters have them. The first that names a path is its route. */
export const ROUTES = [
  ["status", "/api/payment/status"],
  ["receipt", "/api/payment/receipt"],
  ["receipt", "/api/payment/@receipt"],
  ["payment", "/api/payment/*"],
  ["admin", "/api/admin"],
  ["admin", "/api/admin/*"],
  ["files", "/api/files/*"],
  ["cheap", "/api/cheap/*"],
  ["newsletter", "/api/newsletter/subscribe"],
  ["health", "/health"],
  ["public", "/public/*"],
] as const;

/** What the policy enforces: no request without a clearance of its own may reach one of these. */
export const PROTECTED: readonly string[] = ["payment", "admin", "files"];

/** A handler of a route, which says that it was reached. */
export type Handler = (request: Request, second?: unknown, third?: unknown) => Promise<Response>;

/** A gate in the middle of its roll-out, and the handlers of the routes. */
export interface App {
  gate: Gate;
  /** Guarded; with the header `x-bare` it is not: then it says where the router alone takes a request. */
  on(name: string): Handler;
  /** Nothing was reached. */
  missing: Handler;
  /** Gets a clearance of a thousand uses for the cheap route, as a browser would. */
  buy(): Promise<Response>;
}

const ORIGIN = "http://game.example";

export function createApp(): App {
  const emulator = createTurnstileEmulator();
  const gate = createGate({
    secrets: "a signing secret of the tests, at least 32 bytes",
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: {
      secret: EMULATOR_SECRET,
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
    },
    clientIp: () => "203.0.113.7",
    store: memoryStore(),
    features: [
      clearance({
        policy: {
          always_require_clearance: [
            { path: "/api/cheap/*", max_uses: 1000, ttl: 1800 },
            { path: "/api/newsletter/subscribe", max_uses: 1000, ttl: 1800, mode: "monitor" },
            { path: "/api/payment/*", max_uses: 1 },
            { path: "/api/admin/*", max_uses: 1 },
            { path: "/api/files/*", max_uses: 1 },
          ],
          risk_based: [{ path: "/api/payment/status", mode: "monitor" }],
          never_require_clearance: ["/health", "/public/*", "/api/payment/receipt", "/api/payment/@receipt"],
        },
        // The attack is one device, and asks often.
        risk: { deviceRequests: { points: 0 } },
      }),
    ],
    onEvent: () => undefined,
  });
  const reached = (name: string | null): Response => Response.json({ reached: name });
  const buy = async (): Promise<Response> => {
    const device = { "x-device-id": "phone-1" };
    const refused = await gate.guard(() => reached("cheap"))(new Request(`${ORIGIN}/api/cheap/x`, { method: "POST", headers: device }));
    const { challenge_id, original_request_id, action, cdata } = await refused.json();
    const turnstile_token = emulator.control.mint({ sitekey: EMULATOR_SITEKEY, hostname: "game.example", action, cdata });
    return gate.fetch(
      new Request(`${ORIGIN}/api/security/turnstile/verify`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ challenge_id, original_request_id, turnstile_token, device_id: "phone-1" }),
      }),
    );
  };
  return {
    gate,
    on(name) {
      const guarded = gate.guard(() => reached(name));
      return async (request, ...platform) => (request.headers.has("x-bare") ? reached(name) : guarded(request, ...platform));
    },
    missing: async () => reached(null),
    buy,
  };
}

/**
 * How a handler without a framework may read the path of a request, step by step. Each is on or off, so that there are some thousands of such handlers.
 * The steps that follow a decoding see what it brought forth.
 */
export const STEPS: readonly ((path: string) => string)[] = [
  // Letters alone, as routers do that leave the rest to their parameters.
  (path) => path.replace(/%(?:4[1-9a-f]|5[\da]|6[1-9a-f]|7[\da])/gi, decodeURIComponent),
  (path) => decodeLoosely(path),
  (path) => path.replace(/;[^/]*/g, ""),
  (path) => path.replace(/[?#].*/s, ""),
  (path) => path.normalize("NFKC"),
  (path) => path.toLowerCase(),
  (path) => path.replaceAll("\\", "/"),
  (path) => path.replace(/\0.*/s, ""),
  (path) => path.replace(/[. ]+(?=\/|$)/g, (end) => (/^\.{1,2}$/.test(end) ? end : "")),
  (path) => path.replace(/\/{2,}/g, "/"),
  (path) => resolveDots(path),
  (path) => path.replace(/(?<=.)\/$/, ""),
];

/** The route that a handler takes which reads paths by the steps whose bits are in `mask`; by the highest bit, of the parsed URL instead of its text. */
export function plainRoute(url: string, mask: number): string | null {
  const parsed = mask & (1 << STEPS.length) && URL.canParse(url);
  let path = parsed ? new URL(url).pathname : (/^\w+:\/\/[^/]*([^?]*)/.exec(url)?.[1] ?? url);
  for (const [bit, step] of STEPS.entries()) if (mask & (1 << bit)) path = step(path);
  const route = ROUTES.find(([, pattern]) => (pattern.endsWith("/*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern));
  return route?.[0] ?? null;
}

/** Handlers without a framework: each step alone, all of them, none, and some of the thousands that there are. */
export function plainMasks(count: number, seed: number): number[] {
  const masks = [0, (1 << STEPS.length) - 1, ...STEPS.map((_, bit) => 1 << bit)];
  for (let next = seed; masks.length < count; ) {
    next = (next * 48_271) % 2_147_483_647;
    masks.push(next % (1 << (STEPS.length + 1)));
  }
  return masks;
}

/** A handler that takes those routes. */
export function plainRouter(app: App, mask: number): Handler {
  return async (request, ...platform) => {
    const name = plainRoute(request.url, mask);
    return (name ? app.on(name) : app.missing)(request, ...platform);
  };
}

/** As many routers do: what is no encoding stays as it is. */
function decodeLoosely(path: string): string {
  return path.replace(/(%[\da-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
}

function resolveDots(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === ".." && segments.length > 1) segments.pop();
    else if (segment !== "." && segment !== "..") segments.push(segment);
  }
  return segments.join("/");
}
