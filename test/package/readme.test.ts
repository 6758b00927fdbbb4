import { build } from "esbuild";
import { Miniflare } from "miniflare";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EVENT_REASONS } from "../../src/events/index.ts";
import { createGate } from "../../src/gate/index.ts";
import type { Feature } from "../../src/gate/types.ts";
import { STATUS } from "../../src/protocol.ts";
import { SCORE_LIMITS } from "../../src/scores/options.ts";
import { memoryStore, type Store } from "../../src/store/index.ts";
import { describeWith, hasRedis, postgresFolder } from "../helpers/backends.ts";
import { describeBrowser, launchBrowser } from "../helpers/browser.ts";
import { startPostgres } from "../helpers/postgres.ts";
import { type Block, bin, blocks, expressStandIn, freePort, readme, type UserProject, userProject } from "../helpers/readme.ts";
import { startRedis } from "../helpers/redis.ts";
import { sources } from "../helpers/sources.ts";

const text = readme();
const all = blocks(text);
const typed = all.filter(({ language }) => language === "ts");
const env = { SESSION_SIGNING_SECRET: "Qm9-readme-tests-7hR2mLw8ZpD4sK1uYcVt5", TURNSTILE_SECRET_KEY: "0x4AAAAAAA_secret_of_a_widget" };
const node = bin("node");
let project: UserProject;
beforeAll(() => {
  project = userProject();
  expressStandIn(project);
});
afterAll(() => project.close());

/** The block of a name; of several, the one that has `part` in it. */
function block(file: string, part = ""): Block {
  const found = all.find((one) => one.file === file && one.code.includes(part));
  if (!found) throw new Error(`The README has no ${file} with ${part}`);
  return found;
}

const post = (url: string, body: unknown): Promise<Response> =>
  fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

/** A gate that enforces: without a challenge nothing is written, the board can be read. */
async function expectGate(url: string): Promise<void> {
  const [session, write, board] = [
    await post(`${url}/api/session`, {}),
    await post(`${url}/api/scores`, { score: 1 }),
    await fetch(`${url}/api/scores`),
  ];
  expect([session.status, await session.json()]).toEqual([400, { error: "TURNSTILE_TOKEN_MISSING" }]);
  expect([write.status, await write.json()]).toEqual([401, { error: "SESSION_MISSING" }]);
  expect([board.status, await board.json()]).toEqual([200, { scores: [] }]);
}

describe("the README's code", () => {
  it("is in files with names, but for shell commands", () => {
    expect(typed.length).toBeGreaterThan(8);
    expect(all.filter(({ language, file }) => language !== "sh" && file === "")).toEqual([]);
  });

  const variants = [
    ["bundler", "esnext"],
    ["nodenext", "nodenext"],
  ].flatMap(([resolution = "", module = ""]) => [true, false].map((exact) => ({ resolution, module, exact })));
  it.each(variants)("type checks: $resolution, exactOptionalPropertyTypes $exact", ({ resolution, module, exact }) => {
    const files = typed.map(({ file, code }, i) => project.write(`types/${i}/${file}`, code));
    const { status, output } = project.run(bin("tsc"), [
      ..."--noEmit --strict --noUncheckedIndexedAccess --noPropertyAccessFromIndexSignature --verbatimModuleSyntax --target es2022".split(
        " ",
      ),
      ..."--lib es2023,dom,dom.iterable --types node --ignoreConfig --module".split(" "),
      module,
      "--moduleResolution",
      resolution,
      "--exactOptionalPropertyTypes",
      `${exact}`,
      ...files,
    ]);
    expect(output).toBe("");
    expect(status).toBe(0);
  });

  it("type checks on a server that has no types of the browser's", () => {
    const files = typed.filter(({ file }) => file !== "game.ts").map(({ file, code }, i) => project.write(`bare/${i}/${file}`, code));
    const flags =
      "--noEmit --strict --target es2022 --lib es2023 --types node --ignoreConfig --module nodenext --moduleResolution nodenext";
    expect(project.run(bin("tsc"), [...flags.split(" "), ...files]).output).toBe("");
  });

  it("serves on Node, the page and the script too", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    project.write("server.ts", block("server.ts", "createServer").code);
    project.write("index.html", block("index.html").code);
    await project.serve(node, ["server.ts"], url, { ...env, PORT: `${port}` });
    await expectGate(url);
    expect(await (await fetch(url)).text()).toContain("/client.global.js");
    const script = await fetch(`${url}/client.global.js`);
    expect([script.status, script.headers.get("content-type")]).toEqual([200, "text/javascript"]);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  it("does not start without what the README says is required", () => {
    const { status, output } = project.run(node, ["server.ts"], { SESSION_SIGNING_SECRET: env.SESSION_SIGNING_SECRET, PORT: "0" });
    expect(status).not.toBe(0);
    expect(output).toContain('"turnstile.secret" is missing');
  });

  it.each([
    ["bun", ["server.ts"]],
    ["deno", ["serve", "-A", "--no-check", "--node-modules-dir=manual", "--port", "PORT", "server.ts"]],
  ])("serves on %s", async (name, args) => {
    const port = await freePort();
    project.write(`${name}/server.ts`, block("server.ts", "export default").code);
    const url = `http://127.0.0.1:${port}`;
    const given = args.map((one) => (one === "PORT" ? `${port}` : one));
    await project.serve(bin(name), given, `${url}/api/scores`, { ...env, PORT: `${port}` }, `${project.folder}/${name}`);
    await expectGate(url);
  });

  it("serves under Express, its routes as well", async () => {
    const port = await freePort();
    project.write("express/server.ts", block("server.ts", "express()").code);
    const url = `http://127.0.0.1:${port}`;
    await project.serve(node, ["express/server.ts"], url, { ...env, PORT: `${port}` });
    await expectGate(url);
    expect(await (await fetch(url)).text()).toBe("hello");
  });

  it("serves as a Worker", async () => {
    const entry = project.write("worker/worker.ts", block("worker.ts").code);
    const { outputFiles } = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false, logLevel: "silent" });
    const script = outputFiles[0]?.text ?? "";
    const miniflare = new Miniflare({
      modules: true,
      script,
      compatibilityDate: "2026-04-01",
      bindings: env,
      durableObjects: { GATE: { className: "GateObject", useSQLite: true } },
      d1Databases: ["DB"],
    });
    try {
      await expectGate((await miniflare.ready).origin);
    } finally {
      await miniflare.dispose();
    }
  });

  it("tests a gate with the emulator in the process", () => {
    project.write("gate.test.ts", block("gate.test.ts").code);
    expect(project.run(node, ["gate.test.ts"])).toEqual({ status: 0, output: "" });
    const wrong = block("gate.test.ts").code.replace('hostname: "game.example"', 'hostname: "evil.example"');
    project.write("wrong.test.ts", wrong);
    expect(project.run(node, ["wrong.test.ts"]).status).toBe(1);
  });

  it("guards endpoints of one's own, as the mode says", () => {
    project.write("guestbook.ts", block("guestbook.ts").code);
    project.write(
      "guestbook.check.ts",
      `import { sign, signToo } from "./guestbook.ts";
for (const handler of [sign, signToo]) {
  const answer = await handler(new Request("https://game.example/guestbook", { method: "POST" }));
  console.log(answer.status, answer.headers.has("ratelimit"));
}`,
    );
    expect(project.run(node, ["guestbook.check.ts"], env)).toEqual({ status: 0, output: "401 false\n401 false\n" });
    expect(project.run(node, ["guestbook.check.ts"], { ...env, TURNSTILE_ENFORCE: "false" }).output).toBe("201 true\n200 true\n");
  });

  it("makes boards, with and without moderators", () => {
    project.write("board.ts", block("board.ts").code);
    project.write(
      "board.check.ts",
      `import { createGate } from "gatepass";
import { board } from "./board.ts";
const gate = createGate({ mode: "off", secrets: "${env.SESSION_SIGNING_SECRET}", features: [board], onEvent() {} });
const purge = await gate.fetch(new Request("https://game.example/api/scores/none/purge", { method: "POST", headers: { authorization: "Bearer ${"m".repeat(32)}" } }));
console.log(purge.status, await purge.text());`,
    );
    expect(project.run(node, ["board.check.ts"]).output).toBe('404 {"error":"NOT_FOUND"}\n');
    expect(project.run(node, ["board.check.ts"], { MODERATION_TOKEN: "x".repeat(32) }).output).toBe('401 {"error":"UNAUTHORIZED"}\n');
  });
});

describeWith("Redis", hasRedis())("the README's Redis", () => {
  it("counts and ranks", async () => {
    const server = await startRedis();
    try {
      project.write("redis.ts", block("redis.ts").code);
      project.write(
        "redis.check.ts",
        `import { gate } from "./redis.ts";
console.log((await gate.check()).map(({ code }) => code).join(), (await gate.fetch(new Request("https://game.example/api/scores"))).status);
process.exit();`,
      );
      // What becomes of tokens, and of scores, without an append-only file.
      expect(project.run(node, ["redis.check.ts"], { ...env, REDIS_URL: server.url })).toEqual({ status: 0, output: "GP142,GP142 200\n" });
      expect((await server.keys()).length).toBe(1);
    } finally {
      await server.dispose();
    }
  });
});

describeWith("PostgreSQL", postgresFolder() !== undefined)("the README's PostgreSQL", () => {
  it("counts and ranks once it is migrated", async () => {
    const server = await startPostgres();
    try {
      project.write("postgres.ts", block("postgres.ts").code);
      project.write(
        "postgres.check.ts",
        `import { board, store } from "./postgres.ts";
console.log((await store.check()).map(({ code }) => code).join(), (await store.spend([{ key: "k", limit: 1, window: 60 }])).ok);
console.log(await board.top({ board: "main", period: "all", limit: 1 }));
process.exit();`,
      );
      // The server of the tests does not wait for the disk, and check says so.
      expect(project.run(node, ["postgres.check.ts"], { DATABASE_URL: server.url })).toEqual({ status: 0, output: "GP151 true\n[]\n" });
    } finally {
      await server.close();
    }
  });
});

describeBrowser("the README's pages", () => {
  let browser: Browser;
  let site: string;
  let emulator: string;
  beforeAll(async () => {
    browser = await launchBrowser();
    const [port, emulated] = [await freePort(), await freePort()];
    [site, emulator] = [`http://localhost:${port}`, `http://localhost:${emulated}`];
    await project.serve(
      node,
      ["node_modules/gatepass/dist/cli.js", "emulator", "--port", `${emulated}`],
      `${emulator}/turnstile/v0/api.js`,
    );
    // What the README tells to change for development: the gate's options, the script's tag, the client's options.
    const swap = (code: string, from: string, to: string): string => {
      if (!code.includes(from)) throw new Error(`The README has no ${from}`);
      return code.replace(from, to);
    };
    const [attributes = ""] = /data-sitekey="0x4EMULATOR[^`]*/.exec(text) ?? [];
    const sitekey = "0x4EMULATORINVISIBLE";
    const url = `${emulator}/turnstile/v0/api.js`;
    project.write("dev/dev.ts", block("dev.ts").code.replace(":8788", `:${emulated}`));
    project.write(
      "dev/index.html",
      swap(block("index.html").code, 'data-sitekey="0x4AAAAAAA..."', attributes.replace("http://localhost:8788", emulator)),
    );
    project.write(
      "dev/game.html",
      '<!doctype html><html lang="en"><title>game</title><body><script type="module" src="/game.js"></script>',
    );
    const game = swap(block("game.ts").code, 'sitekey: "0x4AAAAAAA..."', `sitekey: "${sitekey}", scriptUrl: "${url}"`);
    project.write("dev/game.ts", `${game}\nplay(async () => 42).then((said) => document.body.append(said));`);
    await build({
      entryPoints: [`${project.folder}/dev/game.ts`],
      bundle: true,
      format: "esm",
      outfile: `${project.folder}/dev/game.js`,
      logLevel: "silent",
    });
    // The first server of the README, with the gate of its dev.ts.
    const server = block("server.ts", "createServer").code;
    const start = server.indexOf("const db =");
    const end = server.indexOf("const api =");
    const files = swap(
      swap(server.slice(end), "node_modules/gatepass", "../node_modules/gatepass"),
      '"/": [',
      '"/game": ["text/html", "game.html"],\n  "/game.js": ["text/javascript", "game.js"],\n  "/": [',
    );
    project.write("dev/server.ts", `${server.slice(0, start)}import { gate } from "./dev.ts";\n${files}`);
    await project.serve(node, ["server.ts"], site, { PORT: `${port}` }, `${project.folder}/dev`);
  });
  afterAll(() => browser?.close());

  it("send a score by the script tag", async () => {
    const page = await browser.newPage();
    await page.goto(site);
    await page.click("#send");
    await page.getByText("You are number 1").waitFor({ timeout: 240_000 });
    const { scores }: { scores: unknown[] } = await (await fetch(`${site}/api/scores`)).json();
    expect(scores).toMatchObject([{ name: "Ada", score: 10, rank: 1 }]);
    await page.close();
  });

  it("send a score with a bundler, the name asked for, the player kept", async () => {
    const page = await browser.newPage();
    page.on("dialog", (dialog) => dialog.accept("Grace"));
    await page.goto(`${site}/game`);
    await page.getByText("You are number 1").waitFor({ timeout: 240_000 });
    const { scores }: { scores: unknown[] } = await (await fetch(`${site}/api/scores`)).json();
    expect(scores).toMatchObject([{ name: "Grace", score: 42 }, { name: "Ada" }]);
    expect(await page.evaluate(() => localStorage.getItem("player"))).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    await page.close();
  });
});

describe("the README's tables", () => {
  const rows = (heading: string): string[][] => {
    const section = text.split(/^##+ /m).find((one) => one.startsWith(heading)) ?? "";
    return [...section.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row.split(" | "));
  };

  it("limits have the names and defaults that the README says", () => {
    const seconds: Record<string, number> = { "a minute": 60, "a day": 86_400, "in 15 minutes": 900 };
    const said = rows("Limits").slice(1);
    expect(said.map(([name]) => name)).toEqual(["`session`", ...Object.keys(SCORE_LIMITS).map((name) => `\`${name}\``)]);
    for (const [name = "", rules = ""] of said.slice(1)) {
      const documented = rules.split(", ").map((rule) => [Number.parseInt(rule, 10), seconds[rule.replace(/^\d+ /, "")]]);
      expect(documented).toEqual(SCORE_LIMITS[name.replaceAll("`", "")]?.map(({ limit, window }) => [limit, window]));
    }
  });

  it("problems have the codes and messages that the README says", async () => {
    const store: Store = { ...memoryStore(), consistency: "approximate" };
    const turnstile = {
      secret: "0x4AAAAAAA_secret",
      allowedHostnames: ["localhost"],
      allowTestKeys: true,
      onUnavailable: "degraded",
    } as const;
    const broken = (): Feature => ({ name: "broken", check: () => Promise.reject(new Error("down")) });
    const unknown = createGate({ mode: "off" });
    await unknown.protect(new Request("https://game.example/"));
    const found = await Promise.all([
      unknown.check(),
      createGate({ mode: "off", onStoreError: "allow", publicUrl: "http://game.example" }).check(),
      createGate({ mode: "monitor", secrets: "a".repeat(40), turnstile, store, features: [broken] }).check(),
      createGate({ mode: "off", store: { ...memoryStore(), spend: () => Promise.reject(new Error("read-only")) } }).check(),
    ]);
    const problems = new Map(found.flat().map(({ code, message }) => [code, message]));
    const said = rows("What `gate.check()` finds").slice(1);
    expect(said.map(([code]) => code)).toEqual([...problems.keys()].sort());
    for (const [code = "", message = ""] of said) expect(message.slice(0, 16)).toBe(problems.get(code)?.slice(0, 16));
  });

  it("names every problem that a store, a board or a feature can find", () => {
    const known = sources("src", "adapters").flatMap(({ code }) => code.match(/\bGP\d{3}\b/g) ?? []);
    expect(known.length).toBeGreaterThan(20);
    expect([...new Set(known)].filter((one) => !text.includes(one))).toEqual([]);
  });

  it("environment variables, codes, events and reasons exist, and no variable is left out", () => {
    const code = (path: string): string => sources("src").find((one) => one.path === path)?.code ?? "";
    const known = new Set([...code("src/gate/env.ts").matchAll(/"([A-Z_]{8,})"/g)].map(([, name]) => name));
    expect(new Set(rows("A leaderboard").flatMap(([name = ""]) => /`([A-Z_]+)`/.exec(name)?.[1] ?? []))).toEqual(known);
    const errors = [...code("src/errors.ts").matchAll(/"(ERR_CLIENT_[A-Z]+)"/g)].map(([, name]) => name);
    const told = rows("In the browser").flatMap(([first = ""]) => [...first.matchAll(/`(ERR_CLIENT_[A-Z]+)`/g)].map(([, name]) => name));
    expect(told.sort()).toEqual(errors.sort());
    const types = code("src/events/types.ts");
    for (const [first = "", second = ""] of rows("Events").slice(1)) {
      for (const [, name = ""] of first.matchAll(/`([a-z]+(?:_[a-z]+)+)`/g)) expect(types).toContain(`"${name}"`);
      for (const [, name = ""] of first.matchAll(/`([A-Z_]+)`/g)) expect(STATUS).toHaveProperty(name);
      const reasons = [...second.matchAll(/`([a-z]+_[a-z_]+)`/g)].map(([, name]) => name);
      expect(reasons.filter((name) => !EVENT_REASONS.some((reason) => reason === name) && !/dry_run/.test(name ?? ""))).toEqual([]);
    }
  });
});
