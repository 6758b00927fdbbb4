import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { DatabaseSync } from "node:sqlite";
import { Miniflare } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_SCORE } from "../../../demo/game/rules.ts";
import { buildDemo, readBoard, type Send, startDemo, writeScore } from "../../helpers/demo.ts";
import { root } from "../../helpers/sources.ts";

const folder = mkdtempSync(`${tmpdir()}/ember-ring-`);
beforeAll(buildDemo);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What each of the four entries does, through HTTP. */
async function checkEntry(send: Send): Promise<void> {
  const page = await send("/");
  const html = await page.text();
  expect(page.status).toBe(200);
  expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(html).toContain('data-mode="development"');
  expect(html).toContain('data-script-url="/turnstile/v0/api.js"');
  expect(html).not.toContain("{{");
  const policy = page.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain("script-src 'self' https://challenges.cloudflare.com");
  expect(policy).not.toContain("unsafe");
  // Nothing inline, nothing from elsewhere: the policy would stop it.
  expect(html).not.toMatch(/<style|style="|\son\w+="|<script(?![^>]*\ssrc="\/)|(src|href)="(https?:)?\/\//);

  for (const [path, type] of [
    ["/main.js", "text/javascript; charset=utf-8"],
    ["/style.css", "text/css; charset=utf-8"],
    ["/favicon.svg", "image/svg+xml"],
  ] as const) {
    const answer = await send(path);
    expect(answer.status, path).toBe(200);
    expect(answer.headers.get("content-type")).toBe(type);
    expect((await answer.text()).length).toBeGreaterThan(100);
    const again = await send(path, { headers: { "if-none-match": answer.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  }
  for (const path of ["/nothing", "/404", "/constructor", "/../package.json", "/index.html"]) {
    const answer = await send(path);
    expect(answer.status, path).toBe(404);
    expect(await answer.text()).toContain("Back to the light");
  }
  expect((await send("/", { method: "POST", body: "x" })).status).toBe(405);
  expect(await (await send("/api/nothing")).json()).toEqual({ error: "NOT_FOUND" });

  const lab = await (await send("/protected")).text();
  expect(lab).toContain('data-mode="development"');
  expect(lab).not.toMatch(/\{\{|<style|style="|\son\w+="|<script(?![^>]*\ssrc="\/)|(src|href)="(https?:)?\/\//);
  for (const path of ["/protected.js", "/protected.css"]) expect((await (await send(path)).text()).length, path).toBeGreaterThan(100);
  const otp = await send("/api/otp/request", { method: "POST", body: '{"phone":"+447700900000"}' });
  expect([otp.status, await otp.json()]).toEqual([403, expect.objectContaining({ error: "TURNSTILE_REQUIRED", action: "otp_request" })]);
  expect(await (await send("/api/search?q=rock")).json()).toEqual({ results: ["Bell Rock, Scotland", "Split Rock, United States"] });
  expect((await send("/mobile-turnstile?challenge_id=x")).status).toBe(403);

  const written = await writeScore(send, 4210, "Wren");
  expect(written.statuses).toEqual([200, 200, 200, 201]);
  expect(written.receipt).toMatchObject({ rank: 1, best: true });
  expect(await readBoard(send)).toEqual(["Wren 4210"]);
  expect((await writeScore(send, MAX_SCORE + 1, "Too much")).statuses[2]).toBe(422);
  expect(await readBoard(send)).toEqual(["Wren 4210"]);
}

const through =
  (url: string): Send =>
  (path, init) =>
    fetch(url + path, init);

/** The keys of a file of Deno KV, as text. */
function keysIn(path: string): string[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare("SELECT k FROM kv").all();
  database.close();
  return rows.map(({ k }) => (k instanceof Uint8Array ? Buffer.from(k).toString("latin1") : ""));
}

describe("the demo's entries", () => {
  for (const runtime of ["node", "bun", "deno"] as const) {
    it(`${runtime}: page and writes, and the board survives a restart`, async () => {
      const env = { DEMO_DB: `${folder}/${runtime}/board.sqlite`, DEMO_KV: `${folder}/${runtime}/store.kv` };
      const first = await startDemo(runtime, env);
      try {
        await checkEntry(through(first.url));
      } finally {
        await first.stop();
      }
      const second = await startDemo(runtime, env);
      try {
        expect(await readBoard(through(second.url))).toEqual(["Wren 4210"]);
        expect((await writeScore(through(second.url), 4211, "Juno")).receipt).toMatchObject({ rank: 1 });
        expect(await readBoard(through(second.url))).toEqual(["Juno 4211", "Wren 4210"]);
      } finally {
        await second.stop();
      }
      if (runtime !== "deno") return;
      // What was spent is in Deno KV: sessions, commitments, and who is counted.
      const kinds = keysIn(env.DEMO_KV).map((key) => /gatepass.*?(ujti|uscore|\|r)/s.exec(key)?.[1]);
      expect([...new Set(kinds)].sort()).toEqual(["ujti", "uscore", "|r"]);
      expect(kinds.filter((kind) => kind === "ujti").length).toBeGreaterThan(1);
    }, 60_000);
  }

  it("Worker: page and writes in workerd; its object and its database survive a restart", async () => {
    const start = (bindings: Record<string, string>, bound = true): Miniflare =>
      new Miniflare({
        modules: true,
        scriptPath: `${root}dist/demo/worker.js`,
        compatibilityDate: "2026-04-01",
        bindings,
        ...(bound && { durableObjects: { GATE: { className: "Gate", useSQLite: true } }, d1Databases: ["DB"] }),
        durableObjectsPersist: `${folder}/worker/do`,
        d1Persist: `${folder}/worker/d1`,
      });
    const during = async (worker: Miniflare, check: (send: Send) => Promise<void>): Promise<void> => {
      try {
        await check(through(`http://localhost:${(await worker.ready).port}`));
      } finally {
        await worker.dispose();
      }
    };
    await during(start({ NODE_ENV: "development" }), checkEntry);
    await during(start({ NODE_ENV: "development" }), async (send) => {
      expect(await readBoard(send)).toEqual(["Wren 4210"]);
      expect((await writeScore(send, 4211, "Juno")).receipt).toMatchObject({ rank: 1 });
      expect(await readBoard(send)).toEqual(["Juno 4211", "Wren 4210"]);
    });
    // The counters of the first run are there: those of its sessions, and of the address that wrote.
    const objects = readdirSync(`${folder}/worker/do`, { recursive: true, encoding: "utf8" }).filter((name) =>
      /[0-9a-f]{64}\.sqlite$/.test(name),
    );
    expect(objects.length).toBe(1);
    const database = new DatabaseSync(`${folder}/worker/do/${objects[0]}`, { readOnly: true });
    const keys = database.prepare("SELECT key FROM gatepass_store").all();
    database.close();
    expect(keys.filter(({ key }) => String(key).startsWith("ujti:")).length).toBeGreaterThan(1);
    await during(start({ NODE_ENV: "development" }, false), async (send) => {
      const answer = await send("/api/scores?board=ember-ring");
      expect([answer.status, await answer.text()]).toEqual([500, expect.stringContaining('the bindings "GATE" and "DB"')]);
    });
  }, 60_000);

  it("production starts with everything that it needs, or not at all; the emulator is not there", async () => {
    const start = (env: Record<string, string>): string => {
      try {
        const options = {
          cwd: root,
          env: { PATH: process.env["PATH"] ?? "", PORT: "0", DEMO_DB: `${folder}/prod.sqlite`, ...env },
          timeout: 20_000,
        };
        return execFileSync(process.execPath, ["demo/node.ts"], { ...options, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
      } catch (error) {
        return error instanceof Error && "stderr" in error ? String(error.stderr) : "";
      }
    };
    expect(start({ NODE_ENV: "production" })).toContain("TURNSTILE_SITE_KEY");
    const env = {
      TURNSTILE_SECRET_KEY: "0x4AAAAAAAa_secret_of_the_tests",
      TURNSTILE_SITE_KEY: "0x4AAAAAAAsitekey",
      SESSION_SIGNING_SECRET: "a signing secret of the tests that is 32 bytes or longer",
    };
    expect(start(env)).toMatch(/hostname/i);
    const demo = await startDemo("node", { ...env, PUBLIC_HOSTNAMES: "ember.example", DEMO_DB: `${folder}/prod.sqlite` });
    try {
      const html = await (await fetch(`${demo.url}/`)).text();
      expect(html).toContain('data-mode="production"');
      expect(html).toContain('data-sitekey="0x4AAAAAAAsitekey"');
      expect(html).toContain('data-script-url=""');
      expect((await fetch(`${demo.url}/turnstile/v0/api.js`)).status).toBe(404);
      expect((await fetch(`${demo.url}/turnstile/control/counts`, { method: "POST" })).status).toBe(405);
    } finally {
      await demo.stop();
    }
  }, 60_000);

  it("a port that is taken is said to be so, without a stack", async () => {
    const demo = await startDemo("node", { DEMO_DB: `${folder}/first.sqlite` });
    try {
      const { port } = new URL(demo.url);
      const said = await startDemo("node", { DEMO_DB: `${folder}/second.sqlite`, PORT: port }).then(() => "started", String);
      expect(said).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}. Another port: PORT=`);
      expect(said).not.toMatch(/\n\s+at /);
    } finally {
      await demo.stop();
    }
  });

  it("the emulator answers to this machine's own name only", async () => {
    const demo = await startDemo("node", { DEMO_DB: `${folder}/own.sqlite` });
    try {
      const { port } = new URL(demo.url);
      const { request } = await import("node:http");
      const status = (host: string): Promise<number | undefined> =>
        new Promise((resolve, reject) => {
          const asked = request({ port, host: "127.0.0.1", path: "/turnstile/v0/api.js", headers: { host } }, (answer) => {
            answer.resume();
            resolve(answer.statusCode);
          });
          asked.on("error", reject).end();
        });
      // To a versioned path, as the real script's address does.
      expect(await status(`localhost:${port}`)).toBe(302);
      expect(await status("ember.example")).toBe(404);
    } finally {
      await demo.stop();
    }
  });
});
