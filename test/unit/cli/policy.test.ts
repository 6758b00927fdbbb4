import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { examplePolicy } from "../../../src/clearance/index.ts";
import { root } from "../../helpers/sources.ts";

const folder = mkdtempSync(join(tmpdir(), "gatepass-policy-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(policy: unknown, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const file = join(folder, "policy.json");
  writeFileSync(file, typeof policy === "string" ? policy : JSON.stringify(policy));
  return spawnSync(process.execPath, [`${root}src/cli/index.ts`, "policy", "check", file, ...args], { encoding: "utf8" });
}

describe("gatepass policy check", () => {
  it("says what requests would get, and why", () => {
    const { status, stdout } = run(
      examplePolicy,
      "/health",
      "POST",
      "/api//Payment/charge",
      "POST",
      "/api/auth/login",
      "--signals",
      '{"failedLogins":7}',
    );
    expect(stdout.split("\n")).toEqual([
      "The policy is valid: 17 entries",
      "GET /health: allow (never: /health; risk 40: failedLogins 40)",
      "POST /api//Payment/charge: challenge (always: /api/payment/*; risk 70: sensitivePath 30, failedLogins 40; scope /api/payment/*, 1 uses, 600 s)",
      "POST /api/auth/login: challenge (risk: /api/auth/login; risk 60: sensitivePath 20, failedLogins 40; scope /api/auth/login, 20 uses, 900 s)",
      "",
    ]);
    expect(status).toBe(0);
  });

  it.each([
    [["POSST", "/api/auth/login"], "POSST"],
    [["POST"], "a path after POST"],
    [["/health", "DELETE"], "a path after DELETE"],
    [["GET", "POST", "/health"], "a path after GET"],
    [["api/auth/login"], "api/auth/login"],
    [["POST", "/health", "--signals", '{"failedLogin":7}'], "failedLogin"],
    [["/health", "--signals", '{"toString":7}'], "toString"],
    [["/health", "--signals", "{"], "JSON"],
    [["/health", "--signals", "[]"], "--signals"],
    [["/health", "--signals", "null"], "--signals"],
    [["/health", "--signals", "5"], "--signals"],
    [["/health", "--mode", "watch"], "--mode"],
    [["/health", "--verbose"], "--verbose"],
  ])("%j is a wrong command: exit code 2, and what was wrong", (words, told) => {
    const { status, stdout, stderr } = run(examplePolicy, ...words);
    expect([status, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(told);
  });

  it("says which paths are refused before the policy is asked, and why", () => {
    const paths = [
      "/api/payment/42%0a",
      "/health/%2e%2e/x",
      "/api/payment/%ff",
      "/a%2Fb",
      "/a;b",
      "/a%252fb",
      "/a%5Cb",
      "/a b",
      "/x?q=%00",
    ];
    const { stdout, status } = run(examplePolicy, ...paths);
    expect([status, ...stdout.split("\n").slice(1, -1)]).toEqual([
      0,
      "GET /api/payment/42%0a: refused, 400 PATH_AMBIGUOUS (control character)",
      "GET /health/%2e%2e/x: refused, 400 PATH_AMBIGUOUS (dot segment)",
      "GET /api/payment/%ff: refused, 400 PATH_AMBIGUOUS (percent encoding)",
      "GET /a%2Fb: refused, 400 PATH_AMBIGUOUS (encoded slash)",
      "GET /a;b: refused, 400 PATH_AMBIGUOUS (semicolon)",
      "GET /a%252fb: refused, 400 PATH_AMBIGUOUS (double encoding)",
      "GET /a%5Cb: refused, 400 PATH_AMBIGUOUS (backslash)",
      "GET /a b: refused, 400 PATH_AMBIGUOUS (url)",
      "GET /x?q=%00: allow (in no list; risk 0: no signals)",
    ]);
    const allowed = { risk_based: [{ path: "/projects/*", ambiguous: "allow" }] };
    expect(run(allowed, "/projects/a%2Fb").stdout).toContain("/projects/a%2Fb: allow (risk: /projects/*;");
  });

  it("says what the modes make of it: of the entry, and of the gate", () => {
    const policy = {
      always_require_clearance: [
        "/on",
        { path: "/watched", mode: "monitor" },
        { path: "/off", mode: "off" },
        { path: "/kept", mode: "enforce" },
      ],
    };
    const asked = ["/on", "/watched", "/off", "/kept", "/kept%00"];
    const said = (...args: string[]): string[] =>
      run(policy, ...asked, ...args)
        .stdout.split("\n")
        .slice(1, -1)
        .map((line) => line.replace(/.*(refused|through with an event|through(?=\))).*/, "$1").replace(/.*: challenge \(.*/, "challenge"));
    expect(said()).toEqual(["challenge", "through with an event", "through", "challenge", "refused"]);
    expect(said("--mode", "monitor")).toEqual(["through with an event", "through with an event", "through", "challenge", "refused"]);
    expect(said("--mode", "off")).toEqual(["through", "through", "through", "through", "through"]);
    expect(run(policy, "/on", "--mode", "enfroce").status).toBe(2);
    expect(JSON.parse(run(policy, "/watched", "/kept%00", "--json").stdout).answers).toMatchObject([
      { mode: "monitor", decision: "challenge" },
      { mode: "enforce", decision: "deny", ambiguous: "control_character" },
    ]);
  });

  it("tells the same as JSON", () => {
    const { stdout } = run(examplePolicy, "/x", "--json");
    expect(JSON.parse(stdout)).toMatchObject({
      entries: 17,
      answers: [{ method: "GET", asked: "/x", kind: "unmatched", decision: "allow" }],
    });
  });

  it("knows conditions that hold", () => {
    const policy = { always_require_clearance: [{ path: "/api/graphql", when: "mutation" }] };
    expect(run(policy, "POST", "/api/graphql").stdout).toContain("allow (in no list");
    expect(run(policy, "POST", "/api/graphql", "--holds", "mutation").stdout).toContain("challenge (always");
  });

  it("ends with 1 and says where for a bad policy, with 2 for a bad call", () => {
    const bad = run({ always_require_clearance: ["/a", { path: "/b", ttl: 3 }] });
    expect([bad.status, bad.stderr.includes("always_require_clearance.1")]).toEqual([1, true]);
    expect(run("{").status).toBe(2);
    expect(run({}, "--nonsense").status).not.toBe(0);
  });
});
