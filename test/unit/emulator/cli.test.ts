import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { execPath } from "node:process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { createTurnstile } from "../../../src/turnstile/index.ts";
import { root } from "../../helpers/sources.ts";

async function saidBy(...args: string[]): Promise<{ status: unknown; out: string; error: string }> {
  const child = spawn(execPath, [`${root}src/cli/index.ts`, ...args]);
  const said = { out: "", error: "" };
  child.stdout.on("data", (chunk) => {
    said.out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    said.error += chunk;
  });
  return { status: await new Promise((resolve) => child.once("close", resolve)), ...said };
}

function start(...args: string[]): ChildProcessWithoutNullStreams {
  // Type stripping is on by default in the Node that tests run on; Node 20 has no say here, it runs the built command.
  return spawn(execPath, [`${root}src/cli/index.ts`, "emulator", ...args]);
}

describe("gatepass emulator", () => {
  let child: ChildProcessWithoutNullStreams;
  let said = "";
  let origin = "";
  beforeAll(async () => {
    child = start("--port", "0");
    for await (const chunk of child.stdout) {
      said += chunk;
      if (said.includes("never use it in production")) break;
    }
    origin = /http:\/\/127\.0\.0\.1:\d+/.exec(said)?.[0] ?? "";
  });
  afterAll(() => {
    child.kill();
  });

  it("prints its URLs and keys, on loopback", () => {
    for (const part of ["/turnstile/v0/api.js", "/turnstile/v0/siteverify", "/turnstile/control/", EMULATOR_SITEKEY, EMULATOR_SECRET]) {
      expect(said).toContain(part);
    }
    expect(origin).not.toBe("");
  });

  it("serves the script, mints and verifies, and breaks an answer off where a fault says so", async () => {
    expect(await (await fetch(`${origin}/turnstile/v0/api.js`)).text()).toContain("turnstile");
    const post = (verb: string, body: object): Promise<Response> =>
      fetch(`${origin}/turnstile/control/${verb}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    const { token }: { token: string } = await (await post("mint", { action: "score_submit" })).json();
    await post("fault", { kind: "drop" });
    const body = new URLSearchParams({ secret: EMULATOR_SECRET, response: "x" });
    await expect(fetch(`${origin}/turnstile/v0/siteverify`, { method: "POST", body }).then((answer) => answer.text())).rejects.toThrow();
    const siteverifyUrl = `${origin}/turnstile/v0/siteverify`;
    const turnstile = createTurnstile({ secret: EMULATOR_SECRET, allowedHostnames: ["localhost"], allowTestKeys: true, siteverifyUrl });
    expect(await turnstile.verify(token, { action: "score_submit" })).toMatchObject({ ok: true });
  });

  it.each([["--port", "x"], ["--port", "70000"], ["--colour"]])("refuses %s %s with status 2 and a reason", async (...args) => {
    const wrong = start(...args);
    let reason = "";
    wrong.stderr.on("data", (chunk) => {
      reason += chunk;
    });
    expect(await new Promise((resolve) => wrong.once("close", resolve))).toBe(2);
    expect(reason).toMatch(/^Cannot start the emulator: /m);
  });
});

describe("gatepass", () => {
  it("makes secrets, each another, of 48 bytes", async () => {
    const [one, two] = await Promise.all([saidBy("secret"), saidBy("secret")]);
    expect(one).toMatchObject({ status: 0, out: expect.stringMatching(/^[\w-]{64}\n$/), error: "" });
    expect(one.out).not.toBe(two.out);
  });

  it("says what it can do: when asked, on its own, and to a command that is none", async () => {
    for (const args of [["--help"], ["emulator", "--help"], ["secret", "-h"]]) {
      expect(await saidBy(...args)).toMatchObject({ status: 0, out: expect.stringMatching(/^Usage: gatepass/), error: "" });
    }
    expect(await saidBy()).toMatchObject({ status: 2, out: "", error: expect.stringMatching(/^Usage: gatepass/) });
    expect(await saidBy("doctor")).toMatchObject({ status: 2, out: "", error: expect.stringMatching(/^Cannot run "doctor"/) });
  });
});
