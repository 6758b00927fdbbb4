import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import { describeWith } from "../../helpers/backends.ts";
import { bearer, type TestGate, testGate } from "../../helpers/gate.ts";
import { type LosingRelay, startLosingRelay } from "../../helpers/losing-relay.ts";
import { hasNginx, type Nginx, startNginx } from "../../helpers/nginx.ts";

describeWith("nginx", hasNginx())("nginx that sends a POST to its next upstream when the answer of the first is lost", () => {
  let at: TestGate;
  let server: Server;
  let relay: LosingRelay;
  let nginx: Nginx;

  beforeAll(async () => {
    at = testGate({
      publicUrl: "https://game.example",
      features: [scores({ board: memoryBoard(), boards: { main: { operator: "sum" } } })],
    });
    server = createServer(toNode(at.gate)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("No port");
    relay = await startLosingRelay(address.port);
    nginx = await startNginx(
      (port) => `
        upstream app { server 127.0.0.1:${relay.port} max_fails=0; server 127.0.0.1:${address.port} backup; }
        server { listen 127.0.0.1:${port}; location / {
          proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Host game.example;
          proxy_next_upstream error timeout non_idempotent; } }`,
    );
  });
  afterAll(async () => {
    await nginx?.stop();
    relay?.close();
    server?.closeAllConnections();
    server?.close();
  });

  const post = (path: string, body: object, headers: Record<string, string>): Promise<Response> =>
    fetch(`http://127.0.0.1:${nginx.port}/api${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });

  it("counts a score once, which without a name for the call it would count twice", async () => {
    const headers = bearer(await at.session());
    const total = async (): Promise<number[]> =>
      (await (await at.gate.fetch(new Request(`${at.origin}/api/scores`))).json()).scores.map(({ score }: { score: number }) => score);
    relay.lose("POST /api/scores");
    const answer = await post("/scores", { score: 10 }, { ...headers, "idempotency-key": '"kQ3vY8bN0aZt5cRw7eXuLg"' });
    expect([answer.status, await answer.json()]).toEqual([200, { id: expect.any(String), rank: 1, best: true }]);
    expect(await total()).toEqual([10]);
    expect(at.events.filter(({ type }) => type === "score_accepted")).toHaveLength(1);
    relay.lose("POST /api/scores");
    await post("/scores", { score: 10 }, headers);
    expect(relay.lost).toEqual(["POST /api/scores HTTP/1.1", "POST /api/scores HTTP/1.1"]);
    expect(await total()).toEqual([30]);
  });

  it("signs one commitment", async () => {
    const headers = { ...bearer(await at.session()), "idempotency-key": '"0123456789abcdef0123456789abcdef"' };
    relay.lose("POST /api/commitments");
    const answer = await post("/commitments", { score: 10 }, headers);
    expect([answer.status, Object.keys(await answer.json())]).toEqual([200, ["commitment", "expiresIn"]]);
    expect(at.events.filter(({ type }) => type === "score_committed")).toHaveLength(1);
  });
});
