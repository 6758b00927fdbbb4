import { describe, expect, it } from "vitest";
import type { Ambiguity } from "../../../src/clearance/ambiguity.ts";
import { explainPolicy } from "../../../src/clearance/index.ts";
import type { PolicyDocument } from "../../../src/clearance/types.ts";
import type { Mode } from "../../../src/gate/types.ts";
import { ORIGIN } from "../../helpers/gate.ts";
import { type Api, api } from "../clearance/tools.ts";

const HOST = ORIGIN.slice("https://".length);
/** The policy of a roll-out: one entry watches, one is enforced, one has limits, one is free. */
const POLICY: PolicyDocument = {
  always_require_clearance: [
    { path: "/api/newsletter/subscribe", max_uses: 1000, ttl: 1800, mode: "monitor" },
    { path: "/api/payment/*", max_uses: 1 },
  ],
  risk_based: [{ path: "/api/search", limits: ["search"] }],
  never_require_clearance: ["/health", "/public/*"],
};
const gate = (policy: PolicyDocument = POLICY, mode: Mode = "enforce"): Api =>
  api({ policy, limits: { search: [{ name: "search", limit: 2, window: 60, by: "ip" }] } }, { mode });

/** A request whose URL no parser has tidied up, as Deno and workerd hand it over. */
function raw(url: string, init: RequestInit = { method: "POST" }): Request {
  const request = new Request(`${ORIGIN}/`, init);
  Object.defineProperty(request, "url", { value: url });
  // What a copy is made of: none is made of a request that is refused.
  Object.defineProperty(request, "clone", { value: () => raw(url, init) });
  return request;
}
const path = (text: string, init?: RequestInit): Request => raw(`${ORIGIN}${text}`, init);
const answerOf = async (at: Api, request: Request): Promise<unknown[]> => {
  const answer = await at.gate.guard(() => Response.json({ error: "through" }))(request);
  return [answer.status, (await answer.json()).error];
};
const REFUSED = [400, "PATH_AMBIGUOUS"];

/** Spellings of each row of the table, of protected, free and unknown paths. */
const TABLE: [row: Ambiguity, paths: string[]][] = [
  [
    "control_character",
    [
      ...["00", "09", "0a", "0A", "0d", "1f", "7f", "7F", "c2%80", "C2%85", "c2%9f"].map((code) => `/api/payment/42%${code}`),
      "/api/payment/%0042",
      "/%0aapi/payment/42",
      "/health%00",
      "/health%0d%0a",
      "/public/%00/x",
      "/api/search%00",
    ],
  ],
  [
    "percent_encoding",
    [
      ...[
        "%",
        "/100%",
        "%zz",
        "%4",
        "%u0041",
        "%ff",
        "%C3",
        "%C3/%A9",
        "%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%af",
        "%ed%a0%80",
        "%f5%80%80%80",
      ].map((end) => `/api/payment/42${end}`),
      "/health%",
      "/health/%ff",
      "/api/search%ff",
      "/100%",
    ],
  ],
  [
    "double_encoding",
    [
      "/api/%2570ayment/42",
      "/api/payment/%2500",
      "/api/payment%252f42",
      "/public/%252e%252e/api/payment/42",
      "/api/%25%37%30ayment/42",
      "/%25252570/x",
    ],
  ],
  [
    "dot_segment",
    [
      "/public/../api/payment/42",
      "/public/./x",
      "/public/%2e%2e/api/payment/42",
      "/public/%2E./api/payment/42",
      "/public/.%2e",
      "/public/%2e",
      "/public/..",
      "/.",
      "/public/..;/api/payment/42",
      "/public/..;x=1/api/payment/42",
      "/public/..%3b/api/payment/42",
      "/public/..%2fapi/payment/42",
      "/public/..%2Fapi%2Fpayment",
      "/public/..%5capi/payment/42",
      "/public/..%3f/api/payment/42",
      "/public/..%23/x",
      "/api/payment/..%2f..%2fpublic/x",
    ],
  ],
  ["backslash", ["/api/payment\\42", "/api\\payment\\42", "/public/%5cx", "/api/payment%5C42", "/api/payment/42%5c", "\\api/payment/42"]],
  ["encoded_slash", ["/api%2fpayment%2f42", "/api/payment%2F42", "/%2Fapi/payment/42", "/api/payment/42%2f", "/public/a%2Fb"]],
  ["semicolon", ["/api/payment;v=1/42", "/api;x/payment/42;y=2", "/health;", "/health;x", "/public/a%3bb", "/api/payment/42%3B"]],
  ["length", [`/api/payment/${"x".repeat(4096)}`, `/health${"/".repeat(4091)}`, `/${"%20".repeat(1366)}`]],
  [
    "url",
    [
      "/api/payment/caf\u00e9",
      "/api/payment/a b",
      '/api/payment/"',
      "/api/payment/<x>",
      "/api/payment/42#top",
      "/api/payment/42?x#y",
      "/health#/api/payment/42",
      "",
      "?/api/payment/42",
      "#/api/payment/42",
    ],
  ],
];

describe("a path that routers read differently is refused by a closed table, whatever the policy says of it", () => {
  it.each(TABLE)("%s", async (row, paths) => {
    const at = gate();
    for (const text of paths) {
      at.events.length = 0;
      expect([text.slice(0, 80), ...(await answerOf(at, path(text)))]).toEqual([text.slice(0, 80), ...REFUSED]);
      expect(at.events.filter(({ type }) => type !== "config_warning")).toMatchObject([
        {
          type: "high_risk_api_blocked",
          outcome: "deny",
          reason: "path_ambiguous",
          code: "PATH_AMBIGUOUS",
          detail: row,
          ip_prefix: "203.0.113.0/24",
        },
      ]);
      expect(at.events.some(({ dry_run }) => dry_run)).toBe(false);
      if (text !== "")
        expect(await explainPolicy(POLICY, { method: "POST", path: text })).toMatchObject({
          ambiguous: row,
          decision: "deny",
          mode: "enforce",
        });
    }
  });

  it("raw control characters are refused, whatever a parser makes of them", async () => {
    const at = gate();
    for (let code = 0; code < 0xa0; code++) {
      if (code >= 0x20 && code < 0x7f) continue;
      const character = String.fromCharCode(code);
      for (const text of [`/api/pay${character}ment/42`, `/health${character}`, `${character}/api/payment/42`])
        expect([code, ...(await answerOf(at, path(text)))]).toEqual([code, ...REFUSED]);
    }
  });

  it("under monitor as under enforce, and for every method; a gate that is off does not look", async () => {
    const paths = TABLE.flatMap(([, [first = ""]]) => first);
    for (const mode of ["enforce", "monitor"] as const) {
      const at = gate(POLICY, mode);
      for (const text of paths) {
        for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"]) {
          const answer = await at.gate.guard(() => Response.json({}))(path(text, { method }));
          expect([mode, method, text.slice(0, 80), answer.status]).toEqual([mode, method, text.slice(0, 80), 400]);
        }
      }
    }
    const off = gate(POLICY, "off");
    for (const text of paths) expect(await answerOf(off, path(text))).toEqual([200, "through"]);
    // What has no address at all is refused by the gate itself, under every mode: whatever reads the URL would throw.
    expect(await answerOf(off, raw("http://[::1"))).toEqual([400, "BODY_INVALID"]);
    expect(off.events.map(({ reason }) => reason)).not.toContain("path_ambiguous");
  });

  it("before the application is asked: no identify, no condition, no signal, no session sees the request", async () => {
    const asked: string[] = [];
    const at = api(
      {
        policy: { always_require_clearance: [{ path: "/api/payment/*", when: "big" }] },
        when: {
          big: () => {
            asked.push("when");
            return false;
          },
        },
        signals: () => {
          asked.push("signals");
          return {};
        },
      },
      {
        identify: () => {
          asked.push("identify");
          return {};
        },
        session: {
          subject: () => {
            asked.push("subject");
            return undefined;
          },
        },
      },
    );
    const handler = at.gate.guard(() => Response.json({}), { action: "score_submit" });
    const answer = await handler(path("/api/payment/42%00", { method: "POST", headers: { authorization: "Bearer made.up.token" } }));
    expect([answer.status, asked]).toEqual([400, []]);
  });

  it("its answer is as every other: no-store, CORS for whom it is for, nothing internal", async () => {
    const at = gate();
    const send = (init: RequestInit): Promise<Response> => at.gate.guard(() => Response.json({}))(path("/api/payment/42%00", init));
    const answer = await send({ method: "POST", headers: { origin: ORIGIN } });
    expect(await answer.json()).toEqual({ error: "PATH_AMBIGUOUS" });
    expect([answer.headers.get("cache-control"), answer.headers.get("cdn-cache-control")]).toEqual(["no-store", "no-store"]);
    expect([answer.headers.get("access-control-allow-origin"), answer.headers.get("vary")]).toEqual([ORIGIN, "Origin"]);
    expect(answer.headers.get("content-type")).toBe("application/json");
    const foreign = await send({ method: "POST", headers: { origin: "https://evil.example" } });
    expect([foreign.status, foreign.headers.get("access-control-allow-origin")]).toEqual([403, null]);
    const asks = { origin: ORIGIN, "access-control-request-method": "POST" };
    const preflight = await send({ method: "OPTIONS", headers: asks });
    expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([204, ORIGIN]);
  });
});

describe("a Host that moves the path into something else", () => {
  const hosts = [
    "evil?",
    "evil#",
    "evil/",
    "evil/api",
    "evil\\",
    "evil\\x",
    "u@evil",
    "u:p@evil",
    "@evil",
    "evil@",
    "a,b",
    "a, b",
    "a b",
    "",
    " ",
    ":",
    ":80",
  ];
  const more = [
    "a:b",
    "a:80:80",
    "a:-1",
    "a:99999",
    "a:123456",
    "[::1",
    "::1",
    "[::1]x",
    "[::g]",
    "[fe80::1%25eth0]",
    "ev%69l",
    "evil%2f",
    "e\u00e4",
    "a;b",
    "1.2.3.4.5",
  ];

  it.each([...hosts, ...more])("%j is refused", async (host) => {
    const at = gate();
    for (const target of ["/api/payment/42", "/health", "/api/unknown"]) {
      const { headers } = new Request(ORIGIN, { headers: { host } });
      expect([target, ...(await answerOf(at, path(target, { method: "POST", headers })))]).toEqual([target, ...REFUSED]);
      // As Deno and Bun hand the text on.
      expect(await answerOf(at, raw(`http://${host}${target}`, { method: "POST", headers }))).toEqual(REFUSED);
      expect(await answerOf(at, raw(target, { method: "POST", headers }))).toEqual(REFUSED);
    }
    expect(at.events.map(({ detail }) => detail)).toContain("host");
  });

  it.each([
    "game.example",
    "GAME.example",
    "game.example:8443",
    "LOCALHOST",
    "localhost:",
    "my_service:80",
    "game.example.",
    "127.0.0.1:1",
    "[::1]",
    "[2001:DB8::1]:443",
    "xn--bcher-kva.example",
  ])("%s is a host", async (host) => {
    const at = gate();
    expect(await answerOf(at, raw(`http://${host}/health`, { method: "GET", headers: { host } }))).toEqual([200, "through"]);
    expect(await answerOf(at, raw(`http://${host}/api/payment/42`, { method: "POST", headers: { host } }))).toEqual([
      403,
      "TURNSTILE_REQUIRED",
    ]);
  });

  it("a URL without the header is judged by its own text", async () => {
    const at = gate();
    for (const url of [
      "http://evil?/api/payment/42",
      "http://u@evil/api/payment/42",
      "http:///api/payment/42",
      "http:/api/payment/42",
      "/api/payment/42",
      "//evil/api/payment/42",
      "http://[::1/api/payment/42",
      "http://evil:99999/api/payment/42",
      "http://evil",
      "",
    ]) {
      expect([url, ...(await answerOf(at, raw(url)))]).toEqual([url, ...REFUSED]);
    }
  });

  it("the gate's own routes are refused as well", async () => {
    const at = gate();
    const answer = await at.gate.fetch(new Request(`${ORIGIN}/api/session`, { method: "POST", headers: { host: `u@${HOST}` } }));
    expect([answer.status, await answer.json()]).toEqual([400, { error: "PATH_AMBIGUOUS" }]);
    const page = await at.gate.handle(raw("http://evil?/mobile-turnstile", { method: "GET", headers: { host: "evil?" } }));
    expect(page).toBeNull();
  });
});

describe("what honest clients send keeps working", () => {
  it.each([
    "/api/files/caf%C3%A9",
    "/api/files/%E6%97%A5%E6%9C%AC",
    "/api/files/%F0%9F%98%80",
    "/api/files/%F0%9F%91%A8%E2%80%8D%F0%9F%91%A9",
    "/api/files/a%20b",
    "/api/files/+@:~!$&*,=()[]|",
    "/api/files/%2B%40%3A%7E%21%24%26%2A%2C%3D%28%29%5B%5D%7C",
    "/api/files/it's",
    "/api/files/100%25",
    "/api/files/100%25%20sure",
    "/api/files/100%25-zz",
    "/api/files/what%3F",
    "/api/files/%23hash",
    "/api/files/%22quoted%22%3C%3E%60%7B%7D%5E",
    "/api/files/v1..2",
    "/api/files/.hidden",
    "/api/files/...",
    "/api/files/wait%E2%80%A6",
    "/api/Files/Report.PDF",
    "/api//files/x/",
    "/.well-known/security.txt",
    `/api/files/${"x".repeat(4096 - "/api/files/".length)}`,
    "/",
  ])("%s is no ambiguous path", async (text) => {
    const at = gate();
    expect(await answerOf(at, path(text))).toEqual([200, "through"]);
    for (const query of ["?", "?q=it's", "?q=a/../b", "?q=%00%2F;\\", "?redirect=http://u@evil/x", `?${"q".repeat(5000)}`])
      expect([query.slice(0, 40), ...(await answerOf(at, path(text + query)))]).toEqual([query.slice(0, 40), 200, "through"]);
    expect((await explainPolicy(POLICY, { path: text })).ambiguous).toBeUndefined();
  });

  it("and each of them is one path under the entry that it was written for, with that entry's mode, scope and limits", async () => {
    const policy: PolicyDocument = {
      always_require_clearance: [{ path: "/api/files/*", max_uses: 7, ttl: 600, mode: "monitor" }],
      risk_based: ["/api/*"],
    };
    for (const name of [
      "caf%C3%A9",
      "a%20b",
      "+@:~!$&*,=()[]|",
      "100%25",
      "Report.PDF",
      "it's",
      "%F0%9F%98%80",
      "x/y/Z",
      "what%3Fnow",
      "%23x",
    ]) {
      const { entry, mode } = await explainPolicy(policy, { path: `/api/files/${name}` });
      expect([name, entry.scope, entry.maxUses, mode]).toEqual([name, "/api/files/*", 7, "monitor"]);
    }
  });
});
