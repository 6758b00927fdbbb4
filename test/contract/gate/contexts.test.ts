// A gate of a function on the runtimes themselves: whatever they pass along beside the request, it is one gate.
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { toNode } from "../../../adapters/node.ts";
import { FORMS, type Outcome } from "../../helpers/contexts.ts";
import { serve } from "../../helpers/serve.ts";
import { root } from "../../helpers/sources.ts";
import { startWorkerd, type Workerd } from "../../helpers/workerd.ts";

const none: typeof fetch = async () => Response.error();

describe("in workerd", () => {
  let worker: Workerd;
  beforeAll(async () => {
    worker = await startWorkerd({ entry: "test/contract/workers/contexts.ts", bindings: { SECRET: "x" } });
  });
  afterAll(() => worker?.dispose());

  it.each(Object.keys(FORMS))("%s: no request gets a gate of its own", async (form) => {
    const answer = await worker.fetch(`/${encodeURIComponent(form)}`);
    const outcomes = Object.entries((await answer.json()) as Record<string, Outcome>);
    expect(outcomes.length).toBeGreaterThan(15);
    for (const [context, { reads, writes, sessions, calls }] of outcomes) {
      expect([context, reads <= 120, writes <= 15, sessions <= 30, calls <= 8]).toEqual([context, true, true, true, true]);
    }
    const works = { reads: 120, writes: 15, sessions: 30, statuses: [200, 201, 429], calls: 1 };
    expect(Object.fromEntries(outcomes)).toMatchObject({ "Workers' env": works, "the env of this Worker": works });
    // The very object is an environment to it, a ninth one is none.
    expect(Object.fromEntries(outcomes)["Next.js's { params }"]).toMatchObject({ reads: 8, calls: 8, statuses: [200, 500] });
  });
});

describe("elsewhere", () => {
  /** How many of 300 reads at `url` are answered, and with what. */
  async function reads(url: string): Promise<[passed: number, statuses: number[]]> {
    const statuses: number[] = [];
    for (let i = 0; i < 300; i++) {
      const answer = await fetch(`${url}/api/scores`);
      await answer.arrayBuffer();
      statuses.push(answer.status);
    }
    return [statuses.filter((status) => status === 200).length, [...new Set(statuses)].sort()];
  }

  it.each(Object.keys(FORMS))("Hono on Node, %s", async (name) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const gate = FORMS[name]?.(() => undefined, none);
    const app = new Hono();
    app.all("/api/*", (c) => gate?.fetch(c.req.raw, c.env) ?? c.notFound());
    // As its Node adapter has it: an environment of each request's own.
    const server = await serve((request, info) => app.fetch(request, { incoming: info, outgoing: {} }));
    const [passed, statuses] = await reads(server.url);
    await server.close();
    expect([passed, statuses]).toEqual(/^\((\)|env =|\.\.\.)/.test(name) ? [120, [200, 429]] : [1, [200, 500]]);
  });

  it("the Node adapter", async () => {
    const gate = FORMS["() => options"]?.(() => undefined, none);
    if (!gate) return expect.fail();
    const server = createServer(toNode(gate)).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    expect(await reads(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).toEqual([120, [200, 429]]);
    server.close();
  });

  it.each([
    ["Bun", ["bun", "--port=0"]],
    ["Deno", ["deno", "serve", "-A", "--no-check", "--no-lock", "--port=0", "--host=127.0.0.1"]],
  ])("%s serves it as its default export", async (_, [command = "", ...args]) => {
    const child = spawn(`${root}node_modules/.bin/${command}`, [...args, `${root}test/contract/gate/contexts.server.ts`], {
      cwd: root,
      env: { ...process.env, NO_COLOR: "1" },
    });
    try {
      expect(await reads(await addressOf(child))).toEqual([120, [200, 429]]);
    } finally {
      child.kill("SIGTERM");
      await new Promise((resolve) => child.once("close", resolve));
    }
  });
});

/** The address that a server prints when it listens. */
function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const port = /(?:127\.0\.0\.1|localhost):(\d+)/.exec(said)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("close", (code) => reject(new Error(`It ended with ${code}: ${said}`)));
  });
}
