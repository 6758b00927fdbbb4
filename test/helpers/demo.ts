import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { dirname } from "node:path";
import { root } from "./sources.ts";

/** A demo that runs in a process of its own. */
export interface RunningDemo {
  /** Origin, without a slash at the end. */
  url: string;
  /** Everything that it has printed. */
  said(): string;
  /** Ends it, and waits until it has. */
  stop(): Promise<void>;
}

/** Packs the page and the Worker into dist/demo, from the built package. */
export function buildDemo(): void {
  execFileSync(process.execPath, [`${root}demo/build.mjs`], { cwd: root, stdio: ["ignore", "ignore", "inherit"] });
}

/** What starts each entry. Deno may touch nothing but the folder of its files. */
const COMMANDS: Record<"node" | "bun" | "deno", (folder: string) => readonly string[]> = {
  node: () => [process.execPath, "demo/node.ts"],
  bun: () => [`${root}node_modules/.bin/bun`, "demo/bun.ts"],
  deno: (folder) => [
    `${root}node_modules/.bin/deno`,
    "run",
    "--no-lock",
    "--cached-only",
    "--allow-net=127.0.0.1",
    "--allow-env",
    `--allow-read=${folder}`,
    `--allow-write=${folder}`,
    "--no-prompt",
    "demo/deno.ts",
  ],
};

/** Starts an entry on a free port of the loopback interface and waits for the line with its address. On Deno, `DEMO_DB` and `DEMO_KV` share a folder. */
export async function startDemo(runtime: keyof typeof COMMANDS, env: Record<string, string> = {}): Promise<RunningDemo> {
  const [file = "", ...args] = COMMANDS[runtime](dirname(env["DEMO_DB"] ?? ".data/"));
  const { NODE_ENV: _, VITEST: __, ...own } = process.env;
  const child = spawn(file, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...own, PORT: "0", HOST: "127.0.0.1", NO_COLOR: "1", ...env },
  });
  const ended = new Promise<void>((resolve) => {
    child.once("close", () => resolve());
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
  }
  const url = await addressOf(child, runtime);
  return {
    url,
    said: () => said,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      // Whatever a process logs is read by more people than its memory.
      if (/eyJ[\w-]{8,}\.[\w-]{8,}/.test(said)) throw new Error(`The demo on ${runtime} logged a token: ${said}`);
    },
  };
}

function addressOf(child: ChildProcess, runtime: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const found = /at (http:\/\/localhost:\d+)\//.exec(said)?.[1];
      if (found) resolve(found);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", reject);
    child.once("close", (code) => reject(new Error(`The demo on ${runtime} ended with ${code}: ${said}`)));
  });
}

/** What sends a request to a demo: its path, and what `fetch` takes. */
export type Send = (path: string, init?: RequestInit) => Promise<Response>;

/** A score on the board, through the gate and without a browser: mint, session, commitment, score. Gives the status of each step, and the receipt. */
export async function writeScore(send: Send, score: number, name: string): Promise<{ statuses: number[]; receipt: unknown }> {
  const statuses: number[] = [];
  let minted = "";
  const post = async (path: string, body: unknown, token = ""): Promise<Record<string, unknown>> => {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    const response = await send(path, { method: "POST", headers, body: JSON.stringify(body) });
    statuses.push(response.status);
    const text = await response.text();
    if (minted !== "" && text.includes(minted)) throw new Error(`The answer of ${path} holds the Turnstile token`);
    const data: unknown = JSON.parse(text);
    return typeof data === "object" && data !== null ? { ...data } : {};
  };
  const { token } = await post("/turnstile/control/mint", { action: "score_submit" });
  minted = String(token);
  const { sessionToken } = await post("/api/session", { turnstileToken: token });
  const { commitment } = await post("/api/commitments", { board: "ember-ring", score }, String(sessionToken));
  const receipt = await post("/api/scores", { name, commitment }, String(sessionToken));
  return { statuses, receipt };
}

/** Names and scores of the board, best first. */
export async function readBoard(send: Send): Promise<string[]> {
  const response = await send("/api/scores?board=ember-ring&limit=100");
  const { scores = [] }: { scores?: { name: string; score: number }[] } = await response.json();
  return scores.map(({ name, score }) => `${name} ${score}`);
}
