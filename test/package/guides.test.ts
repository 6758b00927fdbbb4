import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { STATUS } from "../../src/protocol.ts";
import { type Block, bin, blocks, freePort, type UserProject, userProject } from "../helpers/readme.ts";
import { root } from "../helpers/sources.ts";

/** The guides whose code is checked here. */
const GUIDES = ["clearance.md", "mobile.md", "emulator.md", "boards.md"];
const text = (guide: string): string => readFileSync(`${root}demo/docs/${guide}`, "utf8");
const guides = new Map(GUIDES.map((guide) => [guide, blocks(text(guide))]));
const env = {
  SESSION_SIGNING_SECRET: "Qm9-guide-tests-7hR2mLw8ZpD4sK1uYcVt5",
  TURNSTILE_SECRET_KEY: "0x4AAAAAAA_secret_of_a_widget",
  TURNSTILE_SITE_KEY: "0x4AAAAAAA_sitekey",
};
const node = bin("node");
let project: UserProject;
beforeAll(() => {
  project = userProject();
});
afterAll(() => project.close());

function block(guide: string, file: string): Block {
  const found = guides.get(guide)?.find((one) => one.file === file);
  if (!found) throw new Error(`${guide} has no ${file}`);
  return found;
}

/** Runs a check beside the guide's own file; what it prints is the last line's JSON. */
function check(file: string, code: string): unknown {
  project.write(file, block("clearance.md", file).code);
  project.write(`check-${file}`, code);
  const { status, output } = project.run(node, [`check-${file}`], env);
  expect([status, output]).toEqual([0, output]);
  return JSON.parse(output.trim().split("\n").at(-1) ?? "");
}

const POST = `const post = (path, body, headers = {}) => {
  const text = JSON.stringify(body);
  return new Request("https://app.example.com" + path, { method: "POST", body: text, headers: { "content-type": "application/json", "x-device-id": "d1", ...headers } });
};
// As Deno tells it: whose address nobody knows shares one bucket with a tenth of each limit.
const from = { remoteAddr: { transport: "tcp", hostname: "203.0.113.7", port: 1 } };
const codeOf = async (answer) => (await answer).status < 400 ? (await answer).status : (await (await answer).json()).error;
`;

describe("the guides' code", () => {
  it("type checks", () => {
    const files = [...guides].flatMap(([guide, all]) =>
      all.filter(({ language }) => language === "ts").map(({ file, code }) => project.write(`types/${guide}/${file}`, code)),
    );
    expect(files.length).toBeGreaterThan(5);
    for (const [resolution = "", module = ""] of [
      ["bundler", "esnext"],
      ["nodenext", "nodenext"],
    ]) {
      const flags =
        "--noEmit --allowImportingTsExtensions --strict --noUncheckedIndexedAccess --noPropertyAccessFromIndexSignature --exactOptionalPropertyTypes --verbatimModuleSyntax --target es2022 --lib es2023,dom,dom.iterable --types node --ignoreConfig";
      const { status, output } = project.run(bin("tsc"), [
        ...flags.split(" "),
        "--module",
        module,
        "--moduleResolution",
        resolution,
        ...files,
      ]);
      expect([status, output]).toEqual([0, ""]);
    }
  });

  it("server.ts: an API that was bare asks for a challenge, and its health does not", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    project.write("server.ts", block("clearance.md", "server.ts").code);
    await project.serve(node, ["server.ts"], url, { ...env, PORT: `${port}` });
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const asked = await fetch(`${url}/api/otp/request`, { method: "POST" });
    expect([asked.status, await asked.json()]).toEqual([
      403,
      expect.objectContaining({ error: "TURNSTILE_REQUIRED", action: "otp_request", scope: ["/api/otp/request"], max_uses: 1 }),
    ]);
    const verify = await fetch(`${url}/api/security/turnstile/verify`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect([verify.status, await verify.json()]).toEqual([400, { error: "BODY_INVALID" }]);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  it("the policy is one, and the command says of it what the guide says", () => {
    const json = guides.get("clearance.md")?.find(({ language }) => language === "json");
    project.write("policy.json", json?.code ?? "");
    const command = /npx gatepass (policy check .*)/.exec(text("clearance.md"))?.[1] ?? "";
    const words = [...command.matchAll(/'([^']*)'|\S+/g)].map(([whole, quoted]) => quoted ?? whole);
    const { status, output } = project.run(node, [`${project.folder}/node_modules/gatepass/dist/cli.js`, ...words]);
    expect([status, output]).toEqual([0, expect.stringContaining("POST /api/auth/login: challenge (risk: /api/auth/login; risk 60:")]);
    expect(JSON.parse(json?.code ?? "{}").$schema).toBe("./node_modules/gatepass/dist/policy.schema.json");
  });

  it("graphql.ts: a read goes through, what writes or is unknown takes a clearance of its own", () => {
    const told = check(
      "graphql.ts",
      `${POST}import { graphql } from "./graphql.ts";
const ask = (body) => graphql(post("/api/graphql", body), from);
const out = [];
for (const body of [{ operationName: "Search" }, { operationName: "Pay" }, { operationName: "constructor" }, { query: "mutation { pay }" }, [{ operationName: "Search" }, { operationName: "Pay" }], { operationName: "Search", more: "x".repeat(70_000) }])
  out.push(await codeOf(ask(body)));
const { scope, action, max_uses } = await (await ask({ operationName: "Pay" })).json();
const ran = await (await ask({ operationName: "Search" })).json();
console.log(JSON.stringify([out, scope, action, max_uses, ran.ran.slice(0, 12)]));`,
    );
    const refused = "TURNSTILE_REQUIRED";
    expect(told).toEqual([[200, refused, refused, refused, refused, refused], ["/api/graphql/writes"], "graphql_write", 1, "query Search"]);
  });

  it("login.ts: failures, the honeypot, refunds and a signal of one's own raise the risk", () => {
    const told = check(
      "login.ts",
      `${POST}import { login, refund } from "./login.ts";
const ask = (account, more = {}, headers = {}) => codeOf(login(post("/api/auth/login", { account, password: "guess", ...more }, headers), from));
const out = {};
out.failed = [];
for (let i = 0; i < 7; i++) out.failed.push(await ask("wren", {}, { "x-device-id": "d-failed" }));
out.otherDevice = await ask("wren", {}, { "x-device-id": "d-other" });
out.right = await ask("juno", { password: "correct horse" }, { "x-device-id": "d-right" });
out.honeypot = [await ask("kit", { website: "x" }, { "x-device-id": "d-bot" }), await ask("kit", {}, { "x-device-id": "d-bot" })];
out.travel = await ask("ines", {}, { "x-device-id": "d-far", "x-geo-verdict": "impossible" });
const names = [];
for (let i = 0; i < 7; i++) names.push(await ask("name-" + i, { password: "correct horse" }, { "x-device-id": "d-names" }));
out.names = names;
const refunds = [];
for (let i = 0; i < 5; i++) { const answer = await refund(post("/api/refunds", {}, { "x-device-id": "d-refunds" }), from); refunds.push(answer.headers.get("ratelimit-policy")?.includes("tight") ?? false); }
out.refunds = refunds;
console.log(JSON.stringify(out));`,
    );
    const challenge = "TURNSTILE_REQUIRED";
    expect(told).toEqual({
      failed: ["wrong", "wrong", "wrong", "wrong", "wrong", "wrong", challenge],
      otherDevice: challenge,
      right: 200,
      honeypot: ["wrong", challenge],
      travel: challenge,
      names: [200, 200, 200, 200, 200, 200, challenge],
      refunds: [false, false, false, false, true],
    });
  });

  it("rollout.ts: what is watched goes through and is told, what is enforced is refused", () => {
    const told = check(
      "rollout.ts",
      `${POST}import { gate, seen } from "./rollout.ts";
const handler = gate.guard((_, { dryRun }) => Response.json({ dryRun }));
const payment = await (await handler(post("/api/payment/charge", {}))).json();
const otp = await codeOf(handler(post("/api/otp/request", {})));
console.log(JSON.stringify([payment, otp, seen]));`,
    );
    expect(told).toEqual([{ dryRun: true }, "TURNSTILE_REQUIRED", ["app_clearance_missing"]]);
  });

  it("alerts.ts: tells once when a number is passed, and again when its time is over", () => {
    const told = check(
      "alerts.ts",
      `import { watch } from "./alerts.ts";
const said = [];
const hear = watch((what) => said.push(what));
const event = (more) => hear({ v: 1, at: 1_000_000, outcome: "deny", type: "high_risk_api_blocked", ...more });
for (let i = 0; i < 60; i++) event({ ip_prefix: "192.0.2.0/24", reason: "risk" });
for (let i = 0; i < 50; i++) event({ ip_prefix: "198.51.100.0/24", reason: "risk" });
event({ reason: "direct_to_origin", ip_prefix: "203.0.113.0/24" });
event({ reason: "direct_to_origin", ip_prefix: "203.0.113.0/24", at: 1_000_001 });
event({ reason: "direct_to_origin", ip_prefix: "203.0.113.0/24", at: 1_000_000 + 61 * 60_000 });
for (let i = 0; i < 11; i++) event({ type: "app_clearance_issued", outcome: "allow", device: "hmac" });
for (let i = 0; i < 30; i++) event({ type: "turnstile_siteverify_failed", outcome: "deny", reason: "invalid" });
for (let i = 0; i < 30; i++) event({ type: "turnstile_siteverify_timeout", outcome: "error", reason: "timeout" });
console.log(JSON.stringify(said));`,
    );
    expect(told).toEqual([
      "denied in numbers: 192.0.2.0/24",
      "past Cloudflare: all",
      "past Cloudflare: all",
      "one device, many clearances: hmac",
      "siteverify fails: all",
    ]);
  });

  it("mobile.ts: the server that the apps of the guide talk to", () => {
    project.write("mobile.ts", block("mobile.md", "mobile.ts").code);
    project.write(
      "check-mobile.ts",
      `import { gate } from "./mobile.ts";
const page = await gate.handle(new Request("https://api.example.com/mobile-turnstile?challenge_id=x"));
const verify = await gate.handle(new Request("https://api.example.com/api/security/turnstile/verify", { method: "POST" }));
console.log(JSON.stringify([page.status, verify.status]));`,
    );
    const { output } = project.run(node, ["check-mobile.ts"], env);
    expect(JSON.parse(output.trim().split("\n").at(-1) ?? "")).toEqual([403, expect.any(Number)]);
  });

  it("verify.test.ts of the emulator's guide passes", () => {
    project.write("verify.test.ts", block("emulator.md", "verify.test.ts").code);
    const { status, output } = project.run(node, ["verify.test.ts"], {});
    expect([status, output]).toEqual([0, output]);
  });

  it("control.ts reaches a served emulator; every fault of the guide is one, and no fault or verb is left out", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const cli = `${project.folder}/node_modules/gatepass/dist/cli.js`;
    await project.serve(node, [cli, "emulator", "--port", `${port}`], `${url}/turnstile/v0/api.js`);
    const guide = text("emulator.md");
    const faults = [...guide.matchAll(/^\| `(\{ "kind": .*?\})` \|/gm)].map(([, json = ""]) => JSON.parse(json));
    project.write("control.ts", block("emulator.md", "control.ts").code);
    project.write(
      "check-control.ts",
      `import { control } from "./control.ts";
const { token } = await control("mint", { action: "login" });
const faults = ${JSON.stringify(faults)};
for (const fault of faults) await control("fault", fault);
const wrong = await control("fault", { kind: "explode" }).catch((error) => error.message);
const unknown = await control("detonate").catch((error) => error.message);
await control("clear");
const { now } = await control("advance", { ms: 1000 });
console.log(JSON.stringify([typeof token, typeof now, (await control("counts")).tokens, wrong, unknown]));`,
    );
    const { output } = project.run(node, ["check-control.ts"], { EMULATOR_URL: url });
    const told: unknown = JSON.parse(output.trim().split("\n").at(-1) ?? "");
    expect(told).toEqual(["string", "number", 1, expect.stringContaining('"kind"'), expect.stringContaining("detonate")]);
    const kinds = /expected one of (.*?)(?:, got .*)?$/.exec(String(Object(told)[3]))?.[1]?.match(/[a-z-]+/g) ?? [];
    expect(kinds.length).toBeGreaterThan(10);
    expect(faults.map(({ kind }) => kind).sort()).toEqual(kinds.sort());
    const verbs = [...guide.matchAll(/^\| `(\w+)` \| /gm)].map(([, verb = ""]) => verb);
    const listed = /control\/\{(.*?)\}/.exec(readFileSync(`${root}src/cli/emulator.ts`, "utf8"))?.[1]?.split(",");
    expect(verbs.sort()).toEqual(listed?.sort());
  });

  it("boards.md: each board can be made, and a player is renamed, exported and erased", () => {
    for (const { file, code } of guides.get("boards.md") ?? []) {
      project.write(`boards/${file}`, code);
      const { status, output } = project.run(node, [`boards/${file}`], env);
      expect([file, status, output]).toEqual([file, 0, ""]);
    }
  });

  it("names codes that exist, and files that are there", () => {
    for (const guide of GUIDES) {
      const codes = [...text(guide).matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, code = ""]) => code);
      const others =
        /^(SESSION_SIGNING_SECRET|ERR_CLIENT_(BLOCKED|SCRIPT)|EMULATOR_(SECRET|URL)|TURNSTILE_(SECRET_KEY|SITE_KEY|ENFORCE|SUCCESS|ERROR|EXPIRED)|ERR_CONFIG_INVALID)$/;
      expect(codes.filter((code) => !(code in STATUS) && !others.test(code))).toEqual([]);
      const links = [...text(guide).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, path = ""]) => path);
      for (const path of links) expect(() => readdirSync(new URL(`../../demo/docs/${path}`, import.meta.url)), path).not.toThrow(/ENOENT/);
      for (const [, anchor = ""] of text(guide).matchAll(/\]\(#([^)]+)\)/g)) {
        const slugs = [...text(guide).matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
          title
            .toLowerCase()
            .replace(/[^\w -]/g, "")
            .replaceAll(" ", "-"),
        );
        expect(slugs).toContain(anchor);
      }
    }
  });
});
