import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchBrowser } from "../helpers/browser.ts";
import { type Nginx, startNginx } from "../helpers/nginx.ts";
import { type Served, serve } from "../helpers/serve.ts";
import { root } from "../helpers/sources.ts";
import { type Stead, standIn } from "./cloudflare.ts";

const here = fileURLToPath(new URL(".", import.meta.url));
/** Where the application is built: below the peers, so that it finds them, with the built package installed. */
const folder = `${here}.app`;
const next = `${here}node_modules/next/dist/bin/next`;

interface Answer {
  status: number;
  problems: string[];
}

describe("Next.js", () => {
  let stead: Stead;
  let emulator: Served;
  const started: ChildProcess[] = [];

  /** Starts the built application; its port. */
  async function start(env: Record<string, string> = {}): Promise<number> {
    for (;;) {
      const port = 20_000 + Math.floor(Math.random() * 10_000);
      const child = spawn(process.execPath, [next, "start", "-H", "127.0.0.1", "-p", String(port)], {
        cwd: folder,
        env: {
          ...process.env,
          NODE_OPTIONS: `--import=${folder}/preload.mjs`,
          EMULATOR_URL: emulator.url,
          SITEVERIFY_URL: `${emulator.url}/turnstile/v0/siteverify`,
          ...env,
        },
        stdio: "ignore",
      });
      started.push(child);
      while (child.exitCode === null) {
        const up = await fetch(`http://127.0.0.1:${port}/api/scores`).catch(() => undefined);
        if (up) return port;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  }

  /** Exchanges a token from one of loopback's addresses, with what headers the client makes up. */
  function exchange(port: number, from: string, headers: Record<string, string> = {}): Promise<Answer> {
    const turnstileToken = stead.emulator.control.mint({ action: "score_submit" });
    const all = { host: "game.example", "content-type": "application/json", ...headers };
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: "127.0.0.1", port, localAddress: from, path: "/api/session", method: "POST", headers: all, agent: false },
        (incoming) => {
          incoming.resume();
          const problems = String(incoming.headers["x-problems"] ?? "").split(",");
          incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, problems }));
        },
      );
      outgoing.on("error", reject);
      outgoing.end(JSON.stringify({ turnstileToken }));
    });
  }

  beforeAll(async () => {
    stead = await standIn();
    emulator = await serve((request) => stead.emulator.fetch(request));
    rmSync(folder, { recursive: true, force: true });
    cpSync(`${here}app`, folder, { recursive: true });
    writeFileSync(`${folder}/package.json`, JSON.stringify({ name: "app", private: true, type: "module" }));
    mkdirSync(`${folder}/node_modules/gatepass`, { recursive: true });
    for (const part of ["package.json", "dist"]) cpSync(root + part, `${folder}/node_modules/gatepass/${part}`, { recursive: true });
    const built = spawnSync(process.execPath, [next, "build"], {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" },
    });
    if (built.status !== 0) throw new Error(`${built.stdout}\n${built.stderr}`);
  }, 300_000);
  afterAll(async () => {
    for (const child of started) child.kill("SIGKILL");
    await emulator?.close();
    stead?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("without clientIp the whole site shares one bucket, and gate.check() says so", async () => {
    const port = await start();
    const answers = [await exchange(port, "127.0.0.2"), await exchange(port, "127.0.0.2"), await exchange(port, "127.0.0.3")];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[0]?.problems).toContain("GP113");
  });

  it("with clientIp: { header: x-real-ip } behind a proxy each client has a bucket of its own, whatever it claims", async () => {
    const port = await start({ CLIENT_IP_HEADER: "x-real-ip" });
    const nginx: Nginx = await startNginx(
      (listen) =>
        `server { listen 127.0.0.1:${listen}; location / { proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_pass http://127.0.0.1:${port}; } }`,
    );
    try {
      for (let i = 0; i < 20; i++) {
        const forged = { "x-real-ip": `198.51.100.${i}`, "x-forwarded-for": `198.51.100.${i}` };
        expect(await exchange(nginx.port, "127.0.0.2", forged)).toMatchObject({ status: 200 });
      }
      expect(await exchange(nginx.port, "127.0.0.2", { "x-real-ip": "198.51.100.99" })).toMatchObject({ status: 429 });
      const other = await exchange(nginx.port, "127.0.0.3");
      expect(other.status).toBe(200);
      expect(other.problems).not.toContain("GP113");
    } finally {
      await nginx.stop();
    }
  });

  it("next-turnstile's two halves, in a page and in a route handler", async () => {
    const port = await start();
    const browser: Browser = await launchBrowser(stead.args);
    try {
      const page = await browser.newPage();
      await page.goto(`http://localhost:${port}/`);
      await expect.poll(() => page.title(), { timeout: 20_000 }).toContain("success");
      expect(JSON.parse(await page.title())).toMatchObject({ success: true, action: "contact", hostname: "localhost" });
    } finally {
      await browser.close();
    }
  });
});
