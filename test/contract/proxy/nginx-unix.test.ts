import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { createTurnstileEmulator, EMULATOR_SECRET } from "../../../src/emulator/index.ts";
import type { SecurityEvent } from "../../../src/events/types.ts";
import { createGate } from "../../../src/gate/index.ts";
import type { Gate } from "../../../src/gate/types.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import { describeWith } from "../../helpers/backends.ts";
import { hasNginx, type Nginx, startNginx } from "../../helpers/nginx.ts";

interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: { error?: string; sessionToken?: string };
}

/** A request to nginx; `from` is the client's own address, one of the many that loopback has. */
function send(
  port: number,
  from: string,
  path: string,
  options: { headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const { headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const all = { host: "game.example", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers };
    const method = body === undefined ? "GET" : "POST";
    const outgoing = request({ host: "127.0.0.1", port, localAddress: from, path, method, headers: all, agent: false }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: JSON.parse(text) }));
    });
    outgoing.on("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

describeWith("nginx", hasNginx())("an application on a Unix socket behind nginx", () => {
  const emulator = createTurnstileEmulator();
  const events: SecurityEvent[] = [];
  let addresses: (string | undefined)[] = [];
  let gate: Gate;
  let server: Server;
  let nginx: Nginx;

  beforeAll(async () => {
    const forward = `proxy_set_header Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_http_version 1.1;`;
    nginx = await startNginx(
      (port, folder) => `
        server { listen 127.0.0.1:${port}; server_name game.example; location / { ${forward} proxy_pass http://unix:${folder}/app.sock:; } }
        # A second proxy in between, which is reached through a Unix socket too: it appends "unix:".
        server { listen unix:${folder}/inner.sock; location / { ${forward} proxy_pass http://unix:${folder}/app.sock:; } }
        server { listen 127.0.0.1:${port}; server_name chain.example; location / { ${forward} proxy_pass http://unix:${folder}/inner.sock:; } }`,
    );
    gate = createGate({
      secrets: "a signing secret of the tests, at least 32 bytes",
      turnstile: { secret: EMULATOR_SECRET, allowedHostnames: ["game.example"], allowTestKeys: true },
      fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
      clientIp: { trustedProxies: ["unix:"] },
      publicUrl: "https://game.example",
      limits: {
        session: [
          {
            name: "session",
            limit: 2,
            window: 60,
            by: (_request, { ip }) => {
              addresses.push(ip);
              return ip;
            },
          },
          { name: "prefix", limit: 1000, window: 60, by: "ip-prefix" },
        ],
      },
      features: [scores({ board: memoryBoard() })],
      onEvent: (event) => events.push(event),
    });
    server = createServer(toNode(gate)).listen(`${nginx.folder}/app.sock`);
    await once(server, "listening");
  });
  afterAll(async () => {
    server?.closeAllConnections();
    server?.close();
    await nginx?.stop();
  });

  const exchange = (from: string, headers: Record<string, string> = {}): Promise<Answer> =>
    send(nginx.port, from, "/api/session", {
      headers,
      body: { turnstileToken: emulator.control.mint({ action: "score_submit", hostname: "game.example" }) },
    });

  it("counts each client by its own address, and writes a score", async () => {
    addresses = [];
    for (const from of ["127.0.0.2", "127.0.0.2", "127.0.0.3"]) expect(await exchange(from)).toMatchObject({ status: 200 });
    expect(await exchange("127.0.0.2")).toMatchObject({ status: 429, body: { error: "RATE_LIMITED" } });
    const { body } = await exchange("127.0.0.3");
    const headers = { authorization: `Bearer ${body.sessionToken}`, origin: "https://game.example" };
    expect(await send(nginx.port, "127.0.0.3", "/api/scores", { headers, body: { score: 7 } })).toMatchObject({ status: 201 });
    expect(addresses).toEqual(["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"]);
    expect(events.map(({ reason }) => reason)).not.toContain("client_address_unknown");
  });

  it("an X-Forwarded-For that the client made up, unix: included, gives it no other address", async () => {
    addresses = [];
    for (const forged of ["198.51.100.1", "198.51.100.2, unix:", "unix:", "garbage", '"', "198.51.100.3, "]) {
      await exchange("127.0.0.4", { "x-forwarded-for": forged });
    }
    expect(new Set(addresses)).toEqual(new Set(["127.0.0.4"]));
    expect(await exchange("127.0.0.4", { "x-forwarded-for": "198.51.100.9" })).toMatchObject({ status: 429 });
  });

  it("through two proxies, the inner one reached by a Unix socket, it is the client's address still", async () => {
    addresses = [];
    const forged = { host: "chain.example", "x-forwarded-for": "198.51.100.1" };
    await exchange("127.0.0.5", forged);
    expect(addresses).toEqual(["127.0.0.5"]);
    expect(nginx.errors()).not.toContain("[error]");
  });
});
