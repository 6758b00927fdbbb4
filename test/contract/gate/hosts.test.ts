// A bad Host on the runtimes themselves: some make the request's URL of it, and a handler that reads the URL would throw.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { createGate } from "../../../src/gate/index.ts";
import { root } from "../../helpers/sources.ts";

const BAD = [
  "a b",
  "evil?",
  "evil#",
  "evil/",
  "[",
  "]",
  "[::1",
  "user@game.example",
  "game.example:x",
  "game.example:80:80",
  "a\tb",
  "a\\b",
  "<>",
  "%",
];
const GOOD = ["game.example", "GAME.example:8080", "127.0.0.1", "[::1]:80", "my_host", "game.example."];

/** The status and body of a request with this Host; 0 where the server closes without an answer. */
function ask(port: number, host: string, path: string): Promise<[status: number, body: string]> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    });
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve([Number(answer.slice(9, 12)), answer]));
  });
}

async function expectNoThrow(port: number): Promise<void> {
  for (const path of ["/guestbook", "/api/here"]) {
    for (const host of BAD) {
      const [status, answer] = await ask(port, host, path);
      // Of the runtime itself, of the gate; or of nobody's route, where the runtime has read another path.
      expect([path, host, [0, 400, 404].includes(status), answer.includes("INTERNAL")]).toEqual([path, host, true, false]);
    }
    for (const host of GOOD) expect([path, host, (await ask(port, host, path))[0]]).toEqual([path, host, 200]);
  }
}

describe.each([
  ["Bun", ["bun", "--port=0"]],
  ["Deno", ["deno", "serve", "-A", "--no-check", "--no-lock", "--port=0", "--host=127.0.0.1"]],
])("%s", (_, [command = "", ...args]) => {
  let child: ChildProcess;
  let port = 0;
  beforeAll(async () => {
    child = spawn(`${root}node_modules/.bin/${command}`, [...args, `${root}test/contract/gate/hosts.server.ts`], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1" },
    });
    port = await portOf(child);
  });
  afterAll(async () => {
    child.kill("SIGTERM");
    await new Promise((resolve) => child.once("close", resolve));
  });
  it("a bad Host is 400, and the guard does not throw", async () => {
    await expectNoThrow(port);
  });
});

describe("Node", () => {
  it("a bad Host is 400, and the guard does not throw", async () => {
    const { default: server } = await import("./hosts.server.ts");
    const handle = (request: Request, info?: unknown): Promise<Response> => server.fetch(request, info);
    const listening = createServer(toNode({ fetch: handle, handle })).listen(0, "127.0.0.1");
    await new Promise((resolve) => listening.once("listening", resolve));
    await expectNoThrow((listening.address() as AddressInfo).port);
    listening.close();
  });
});

describe("a request whose URL no parser reads", () => {
  it("is 400 in guard, protect and the routes: it does not throw, and nothing of it is asked or spent", async () => {
    const gate = createGate({ mode: "monitor" });
    const request = new Request("https://game.example/x");
    Object.defineProperty(request, "url", { value: "http://a b/x" });
    const answer = await gate.guard((one) => new Response(new URL(one.url).pathname))(request);
    expect([answer.status, await answer.json(), answer.headers.get("cache-control")]).toEqual([400, { error: "BODY_INVALID" }, "no-store"]);
    expect(await gate.protect(request)).toMatchObject({ ok: false, code: "BODY_INVALID" });
    const routed = new Request("https://game.example/api/session", { method: "POST" });
    Object.defineProperty(routed, "url", { value: "http://a b/api/session" });
    expect((await gate.fetch(routed)).status).toBe(400);
  });
});

/** The port that a server prints when it listens. */
function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /(?:127\.0\.0\.1|localhost):(\d+)/.exec(said)?.[1];
      if (found) resolve(Number(found));
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("close", (code) => reject(new Error(`It ended with ${code}: ${said}`)));
  });
}
