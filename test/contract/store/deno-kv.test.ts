import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { PlainReport } from "../../helpers/plain-kit.ts";
import { runStorm } from "../../storm/run.ts";
import { STORM } from "../../storm/size.ts";

const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
const deno = path("../../../node_modules/.bin/deno");
const flags = ["--unstable-kv", "--no-lock", "--quiet"];
const folder = mkdtempSync(join(tmpdir(), "gatepass-deno-"));
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function run(script: string): Promise<PlainReport> {
  const { stdout } = await promisify(execFile)(deno, ["run", "-A", "--no-check", ...flags, path(`deno-kv/${script}`)]);
  return JSON.parse(stdout);
}

/** Serves the store on `file` from a process of its own, and gives the URL. */
function serve(file: string): Promise<string> {
  const child = spawn(deno, ["run", "-A", "--no-check", ...flags, path("deno-kv/serve.ts"), file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => reject(new Error("The server ended")));
    child.stdout.once("data", (chunk) => resolve(String(chunk).trim()));
  });
}

describe("denoKvStore", () => {
  it("passes the contract suite under Deno, in memory and on a file", { timeout: 60_000 }, async () => {
    const { passed, failures } = await run("suite.ts");
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(80);
  });

  it("fails as it should, under Deno", { timeout: 60_000 }, async () => {
    const { passed, failures } = await run("faults.ts");
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(9);
  });

  it("takes a Deno.Kv as it is, by Deno's own types", { timeout: 60_000 }, async () => {
    const script = join(folder, "types.ts");
    const adapter = JSON.stringify(new URL("../../../adapters/deno-kv.ts", import.meta.url).href);
    const check = (code: string): Promise<unknown> => {
      writeFileSync(script, code);
      return promisify(execFile)(deno, ["check", ...flags, script]);
    };
    const use = `import { denoKvStore } from ${adapter};\nusing kv = await Deno.openKv();\n`;
    await check(
      `${use}const { ok }: { ok: boolean } = await denoKvStore(kv, { prefix: "p", timeoutMs: 100 }).spend([]);\nconsole.log(ok);\n`,
    );
    await expect(check(`${use}denoKvStore(await kv.get(["k"]));\n`)).rejects.toThrow();
    const runtime = JSON.stringify(new URL("deno-kv/runtime.ts", import.meta.url).href);
    await check(`import type { runtime } from ${runtime};\nconst all: typeof runtime = Deno;\nconsole.log(all);\n`);
  });

  it("guarantees 1 and 2 hold for 8 Deno processes with 64 callers each on one file", { timeout: 120_000 }, async () => {
    const file = join(folder, "storm.db");
    const url = await serve(file);
    const { faults, reports } = await runStorm({ kind: "deno-kv", path: file }, STORM(), { kind: "remote", url });
    expect(faults).toEqual([]);
    expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
  });
});
