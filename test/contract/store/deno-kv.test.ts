import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import type { PlainReport } from "../../helpers/plain-kit.ts";

const path = (to: string): string => fileURLToPath(new URL(to, import.meta.url));
const deno = path("../../../node_modules/.bin/deno");
const flags = ["--unstable-kv", "--no-lock", "--quiet"];
const folder = mkdtempSync(join(tmpdir(), "gatepass-deno-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(script: string): Promise<PlainReport> {
  const { stdout } = await promisify(execFile)(deno, ["run", "-A", "--no-check", ...flags, path(`deno-kv/${script}`)]);
  return JSON.parse(stdout);
}

describe("denoKvStore", () => {
  it("passes the contract suite under Deno, in memory and on a file", { timeout: 240_000 }, async () => {
    const { passed, failures } = await run("suite.ts");
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(50);
  });

  it("fails as it should, under Deno", { timeout: 240_000 }, async () => {
    const { passed, failures } = await run("faults.ts");
    expect(failures).toEqual([]);
    expect(passed).toBeGreaterThan(9);
  });

  it("takes a Deno.Kv as it is, by Deno's own types", { timeout: 240_000 }, async () => {
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
});
