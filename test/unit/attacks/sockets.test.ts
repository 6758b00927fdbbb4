import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { bearer, type TestGate, testGate } from "../../helpers/gate.ts";

let at: TestGate;
let server: Server;
/** What nobody caught. */
const lost: unknown[] = [];
const lose = (reason: unknown): void => {
  lost.push(reason);
};

beforeEach(async () => {
  at = testGate();
  server = createServer(toNode(at.gate));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  lost.length = 0;
  process.on("unhandledRejection", lose);
  process.on("uncaughtException", lose);
});
afterEach(() => {
  process.off("unhandledRejection", lose);
  process.off("uncaughtException", lose);
  server.closeAllConnections();
  server.close();
});

/** What comes back for text on a socket, until the server closes it; with `cut`, the client is gone before. */
function raw(text: string, cut = false): Promise<string> {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(address.port, "127.0.0.1", () => {
      socket.write(text, () => {
        if (cut) setTimeout(() => socket.resetAndDestroy(), 5);
      });
    });
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });
}

const get = async (path: string): Promise<number> =>
  Number((await raw(`GET ${path} HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n`)).slice(9, 12));

describe("a path that means one thing to a proxy and another to us", () => {
  test("the plain one is there, with a query in which everything goes", async () => {
    expect(await get("/api/scores")).toBe(200);
    // The route itself refuses what it does not know: the text of a query is no path.
    expect(await raw("GET /api/scores?x=/../y\\z HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n")).toContain("BODY_INVALID");
    expect(await get("http://game.example/api/scores")).toBe(200);
  });

  test.each([
    "//api/scores",
    "/api//scores",
    "/api/scores/",
    "/API/scores",
    "/api/%73cores",
    "/api%2fscores",
    "/api/scores;x",
    "/api/scores%00",
    "/api/./scores",
    "/api/%2E/scores",
    "/open/../api/scores",
    "/open/%2e%2e/api/scores",
    "/open/.%2E/api/scores",
    "/api\\scores",
    "/open\\..\\api\\scores",
    "/api/scores#/open",
    "/api/scores/.",
    "/api/scores/x/..",
    "http://game.example/open/../api/scores",
  ])("%s is not ours", async (path) => {
    expect(await get(path)).toBe(404);
  });

  test.each([
    ["in front of an application it does not go on to the application, whose guards count on the path", false],
    ["past a guard it does not go", true],
  ])("%s", async (_what, guarded) => {
    let went = 0;
    const handler = toNode(guarded ? at.gate.guard(async () => new Response("done")) : at.gate);
    const application = createServer((request, response) => {
      handler(request, response, () => {
        went += 1;
        response.end();
      });
    });
    await new Promise<void>((resolve) => application.listen(0, "127.0.0.1", resolve));
    server.close();
    server = application;
    expect([await get("/open/../api/scores"), went]).toEqual([404, 0]);
  });
});

describe("a client that goes away", () => {
  const post = "POST /api/session HTTP/1.1\r\nHost: game.example\r\nContent-Type: application/json\r\n";
  test.each([
    ["before its body", `${post}Content-Length: 200\r\n\r\n`],
    ["in its body", `${post}Content-Length: 200\r\n\r\n{"turnstileToken":`],
    ["in a chunk", `${post}Transfer-Encoding: chunked\r\n\r\n20\r\n{"turn`],
    ["with a chunk that is none", `${post}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{"turn`],
    ["after too much", `${post}Content-Length: 99999\r\n\r\n${"x".repeat(20_000)}`],
    ["before its answer", "GET /api/scores HTTP/1.1\r\nHost: game.example\r\n\r\n"],
  ])("%s: nothing is left unhandled, nobody is told of an error, and the next one is answered", async (_when, text) => {
    await Promise.all(Array.from({ length: 10 }, () => raw(text, true)));
    expect(await get("/api/scores")).toBe(200);
    expect(lost).toEqual([]);
    expect(at.errors).toEqual([]);
  });

  test("a write whose client is gone before the answer is charged and kept all the same: leaving gives nothing back", async () => {
    const token = await at.session();
    const claims = await at.gate.sessions.verify(token);
    const body = JSON.stringify({ score: 7 });
    const write = `POST /api/scores HTTP/1.1\r\nHost: game.example\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    await Promise.all(Array.from({ length: 5 }, () => raw(write, true)));
    const row = await at.board.ofPlayer({ board: "main", period: "all", player: claims.sub });
    expect(row?.score).toBe(7);
    const kept = at.events.filter(({ type }) => type === "score_accepted").length;
    expect(kept).toBeGreaterThan(0);
    // What was written without anybody listening and what is written now add up to the session's twenty uses.
    let later = 0;
    for (let i = 0; i < 30; i++) {
      if (i % 10 === 0) at.advance(67_000);
      if ((await at.send("POST", "/scores", { score: 1 }, bearer(token))).status === 201) later += 1;
    }
    expect(kept + later).toBe(20);
    expect(lost).toEqual([]);
  });
});

test("one request behind another in one connection: what is left of a refused body is not read as a request", async () => {
  const inner = "DELETE /api/scores/x HTTP/1.1\r\nHost: game.example\r\n\r\n";
  const body = "x".repeat(9000) + inner;
  const answer = await raw(
    `POST /api/session HTTP/1.1\r\nHost: game.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}GET /api/scores HTTP/1.1\r\nHost: game.example\r\nConnection: close\r\n\r\n`,
  );
  expect([...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status)).toEqual(["413", "200"]);
});
