import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { root } from "../../helpers/sources.ts";
import { startWorkerd } from "../../helpers/workerd.ts";
import { plainMasks } from "./app.ts";
import { attack, buy, honest, SEED, type Spelling, send, spellings } from "./attack.ts";

const HONO = ["hono", "hono-loose"];
const PLAIN = plainMasks(24, SEED).map((mask) => `plain-${mask}`);
const DENO = ["run", "--no-lock", "--no-check", "--node-modules-dir=manual", "--allow-all"];
const COUNT = 500;

/** A program that serves on a port below those that the system hands out. One whose port is taken ends: then another. */
async function start(program: string, args: readonly string[]): Promise<{ port: number; child: ChildProcess }> {
  for (let attempt = 0; ; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const child = spawn(`${root}node_modules/.bin/${program}`, [...args, `${root}test/contract/paths/serve.ts`, `${port}`], {
      cwd: root,
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    let errors = "";
    child.stderr?.on("data", (chunk) => {
      errors += chunk;
    });
    while (child.exitCode === null && child.signalCode === null) {
      if (await accepts(port)) return { port, child };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (attempt === 9) throw new Error(`${program} did not start: ${errors}`);
  }
}

async function served(program: string, args: readonly string[]): Promise<{ port: number; stop(): unknown }> {
  const { port, child } = await start(program, args);
  return { port, stop: () => child.kill("SIGKILL") };
}

async function worked(): Promise<{ port: number; stop(): unknown }> {
  const worker = await startWorkerd({ entry: "test/contract/paths/worker.ts" });
  return { port: Number(new URL(await worker.url()).port), stop: () => worker.dispose() };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

const PLACE = "/api/payment/42";
const spelled = (target: string, host = "game.example"): Spelling => ({ target, host });

describe.each([
  ["bun", ["run"], [...HONO, "bun"]],
  ["deno", DENO, HONO],
])("%s", (program, args, routers) => {
  let server: Awaited<ReturnType<typeof served>>;
  let token = "";
  beforeAll(async () => {
    server = await served(program, args);
    token = await buy(server.port);
  });
  afterAll(() => server?.stop());

  it("no spelling gets to a protected route past its policy", { timeout: 300_000 }, () =>
    attack(server.port, spellings(COUNT), token, routers),
  );
  it("nor to one of a handler without a framework", { timeout: 300_000 }, () => attack(server.port, spellings(100), token, PLAIN));
  it("honest paths are asked for a challenge", () => honest(server.port, routers));

  it.each(["evil?", "evil#", "evil/", "evil/public", "u@evil", "a,b", "", "evil%2f", "evil:99999"])(
    "a Host %j is refused, not thrown at",
    async (host) => {
      for (const router of routers) {
        const { status, reached, error } = await send(server.port, spelled(PLACE, host), { "x-router": router });
        // Where the runtime itself refuses it, there is nothing to see. A router that looks elsewhere has no such route.
        expect([router, status, reached, error]).toSatisfy(
          ([, code, name, why]) => name === null && (why === "PATH_AMBIGUOUS" || [0, 200, 400].includes(code)),
        );
      }
    },
  );
});

describe("the gate's own routes", () => {
  const plain = "/api/session";
  const spellings = {
    dots: "/x/../api/session",
    encoded: "/x/%2e%2e/api/session",
    backslash: "/api\\session",
    others: [
      "//api/session",
      "/api/./../api/session;",
      "/api%2fsession",
      "/api/%73ession",
      "/api/session/",
      "/API/session",
      "/api/session%00",
      "/api/x/..;/session",
    ],
  };
  /** Of each runtime: the spellings that it makes the plain path of, before any program sees them. */
  it.each<[string, () => Promise<{ port: number; stop(): unknown }>, readonly string[]]>([
    ["bun", () => served("bun", ["run"]), [spellings.dots, spellings.encoded, spellings.backslash]],
    ["deno", () => served("deno", DENO), []],
    ["workerd", () => worked(), [spellings.dots]],
  ])("under %s are reached by the plain path, and by what the runtime makes one", async (_name, open, known) => {
    const { port, stop } = await open();
    const reaches = async (target: string): Promise<boolean> => {
      const { error } = await send(port, spelled(target), { "x-router": "gate" });
      return error !== undefined;
    };
    expect(await reaches(plain)).toBe(true);
    for (const target of [spellings.dots, spellings.encoded, spellings.backslash, ...spellings.others])
      expect([target, await reaches(target)]).toEqual([target, known.includes(target)]);
    await stop();
  });
});

describe("workerd", () => {
  let server: Awaited<ReturnType<typeof worked>>;
  let token = "";
  beforeAll(async () => {
    server = await worked();
    token = await buy(server.port);
  });
  afterAll(() => server?.stop());

  // What it cannot parse itself, it answers with 500 and a stack: only what gets to the program is of interest.
  const parsed = (count: number): Spelling[] =>
    spellings(count).filter(({ target, host }) => target.startsWith("/") && /^[\w.:]+$/.test(host));

  it("no spelling gets to a protected route past its policy", { timeout: 300_000 }, () => attack(server.port, parsed(COUNT), token, HONO));
  it("nor to one of a handler without a framework", { timeout: 300_000 }, () => attack(server.port, parsed(100), token, PLAIN));
  it("honest paths are asked for a challenge", () => honest(server.port, HONO));
});
