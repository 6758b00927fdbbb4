import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { type NodeHandler, toNode } from "../../../adapters/node.ts";
import { clientAddress, detectPlatform } from "../../../src/http/index.ts";
import { root } from "../../helpers/sources.ts";

const folder = mkdtempSync(`${tmpdir()}/gatepass-unix-`);
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Answers with the peer that the adapter told, and the address that a gate which trusts Unix sockets makes of it. */
const told: NodeHandler = async (incoming, second) => {
  const platform = detectPlatform(incoming, second);
  return Response.json({
    peer: platform.peer ?? null,
    address: clientAddress({ trustedProxies: ["unix:"] })(incoming, platform).address ?? null,
  });
};

async function listen(where: string | number, listener: (req: IncomingMessage, res: ServerResponse) => void): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  if (typeof where === "string") server.listen(where);
  else server.listen(where, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address ? address.port : 0;
}

const FORGED = { host: "game.example", "x-forwarded-for": "192.0.2.99" };

function ask(to: { socketPath: string } | { host: string; port: number }, headers: Record<string, string> = FORGED): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ ...to, path: "/", headers }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve(JSON.parse(text)));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}

describe("toNode on a Unix socket", () => {
  it("says that the peer is one, so that the proxy's header counts", async () => {
    await listen(`${folder}/a.sock`, toNode(told));
    const headers = { ...FORGED, "x-forwarded-for": "192.0.2.99, 203.0.113.7" };
    expect(await ask({ socketPath: `${folder}/a.sock` }, headers)).toEqual({ peer: "unix:", address: "203.0.113.7" });
  });

  it("of a TCP connection no header counts: who reaches the port directly is no proxy", async () => {
    const port = await listen(0, toNode(told));
    expect(await ask({ host: "127.0.0.1", port })).toEqual({ peer: "127.0.0.1", address: "127.0.0.1" });
  });

  it("a client that hung up has no address any more, and does not pass for a Unix socket with the address that it forged", async () => {
    let address: unknown;
    let over: (() => void) | undefined;
    const answered = new Promise<void>((resolve) => {
      over = resolve;
    });
    const handle = toNode(async (incoming, second) => {
      address = await (await told(incoming, second)).json();
      over?.();
      return new Response();
    });
    const port = await listen(0, (req, res) => {
      // Middleware that takes its time: a log-in, a rate limit of another library.
      req.socket.once("close", () => handle(req, res));
    });
    const socket = connect(port, "127.0.0.1", () => {
      socket.end("GET / HTTP/1.1\r\nHost: game.example\r\nX-Forwarded-For: 192.0.2.99\r\n\r\n");
      socket.once("finish", () => setImmediate(() => socket.destroy()));
    });
    await answered;
    expect(address).toEqual({ peer: null, address: null });
  });

  it("what only looks like a server proves nothing: an address that is no path", async () => {
    for (const server of [
      undefined,
      null,
      7,
      {},
      { address: "/run/app.sock" },
      { address: () => null },
      { address: () => ({ port: 1 }) },
    ]) {
      const port = await listen(0, (req, res) => {
        Object.defineProperty(req.socket, "remoteAddress", { value: undefined });
        Object.defineProperty(req.socket, "server", { value: server });
        toNode(told)(req, res);
      });
      expect(await ask({ host: "127.0.0.1", port })).toEqual({ peer: null, address: null });
    }
  });
});

describe.each([
  ["bun", ["run"]],
  ["deno", ["run", "-A", "--no-lock", "--no-check", "--node-modules-dir=manual"]],
])("a Unix socket under %s", (runtime, args) => {
  it("is known to its own server and to node:http", () => {
    const script = `${root}test/unit/adapters/unix-server.ts`;
    const { status, stdout, stderr } = spawnSync(`${root}node_modules/.bin/${runtime}`, [...args, script, `${folder}/${runtime}.sock`], {
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    expect([status, stderr]).toEqual([0, stderr]);
    const known = { peer: "unix:", address: "203.0.113.7" };
    expect(JSON.parse(stdout)).toEqual({ native: { kind: runtime, ...known }, node: { kind: "node", ...known } });
  });
});
