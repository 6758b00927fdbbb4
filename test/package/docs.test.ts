import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { root, sources } from "../helpers/sources.ts";

describe("documentation", () => {
  it("every example in a doc comment runs", () => {
    const jsr: { exports: Record<string, string> } = JSON.parse(readFileSync(`${root}jsr.json`, "utf8"));
    mkdirSync(`${root}test/output`, { recursive: true });
    const folder = mkdtempSync(`${root}test/output/docs-`);
    const imports = Object.entries(jsr.exports).map(([subpath, path]) => [
      subpath.replace(".", "gatepass"),
      pathToFileURL(`${root}${path}`).href,
    ]);
    writeFileSync(`${folder}/map.json`, JSON.stringify({ imports: Object.fromEntries(imports) }));
    const files = sources("src", "adapters").filter(({ path, text }) => /@example/.test(text) && !path.startsWith("src/cli/"));
    const args = [
      "test",
      "--doc",
      "--no-lock",
      "--node-modules-dir=manual",
      "--no-check",
      `--import-map=${folder}/map.json`,
      "--allow-all",
      "--unstable-kv",
    ];
    const { status, stdout, stderr } = spawnSync(`${root}node_modules/.bin/deno`, [...args, ...files.map(({ path }) => path)], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    });
    rmSync(folder, { recursive: true });
    expect(status, `${stdout}\n${stderr}`).toBe(0);
    expect(stdout).toMatch(/ok \| [1-9]\d* passed/);
  });

  it("every entry starts with a @module doc", () => {
    const jsr: { exports: Record<string, string> } = JSON.parse(readFileSync(`${root}jsr.json`, "utf8"));
    const without = Object.values(jsr.exports).filter(
      (path) => !/^\/\*\*[\s\S]*?@module[\s\S]*?\*\//.test(readFileSync(`${root}${path}`, "utf8")),
    );
    expect(without).toEqual([]);
  });

  it("the subpaths that the README names exist", () => {
    const jsr: { exports: Record<string, string> } = JSON.parse(readFileSync(`${root}jsr.json`, "utf8"));
    const named = [...readFileSync(`${root}README.md`, "utf8").matchAll(/["'`]gatepass((?:\/[a-z-]+)+)["'`]/g)].map(
      ([, subpath]) => `.${subpath}`,
    );
    expect(named.length).toBeGreaterThan(0);
    expect(named.filter((subpath) => !(subpath in jsr.exports))).toEqual([]);
  });
});
