import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { afterAll, describe, expect, it } from "vitest";
import { root } from "../helpers/sources.ts";

interface Manifest {
  version: string;
  exports: Record<string, string | { types: string; default: string }>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}
const manifest: Manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
const jsr: { version: string; exports: Record<string, string>; imports: Record<string, string> } = JSON.parse(
  readFileSync(`${root}jsr.json`, "utf8"),
);
const entries = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string" ? [] : [{ subpath, ...target }],
);
const bin = (name: string): string => `${root}node_modules/.bin/${name}`;
const folder = mkdtempSync(`${tmpdir()}/gatepass-`);
afterAll(() => rmSync(folder, { recursive: true }));

function run(file: string, args: string[], cwd = root): string {
  const { status, stdout, stderr } = spawnSync(file, args, { cwd, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } });
  if (status !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout + stderr;
}

describe("package.json, jsr.json and the built entries", () => {
  it("name the same subpaths, each a path of the sources", () => {
    expect(Object.keys(jsr.exports)).toEqual(entries.map(({ subpath }) => subpath));
    for (const [subpath, path] of Object.entries(jsr.exports)) {
      const name = subpath.slice(2);
      expect(subpath === "." ? ["./src/index.ts"] : [`./${name}.ts`, `./src/${name}.ts`, `./src/${name}/index.ts`]).toContain(path);
      expect(existsSync(`${root}${path}`)).toBe(true);
    }
  });

  it("every entry is built, types and code, and every adapter is an entry", () => {
    for (const entry of entries) for (const file of [entry.types, entry.default]) expect(existsSync(`${root}${file}`), file).toBe(true);
    for (const file of Object.values(manifest.bin)) expect(existsSync(`${root}${file}`), file).toBe(true);
    const adapters = readdirSync(`${root}adapters`).filter((name) => name.endsWith(".ts") && !name.startsWith("_"));
    expect(adapters.map((name) => `./adapters/${name.slice(0, -3)}`).sort()).toEqual(
      entries
        .map(({ subpath }) => subpath)
        .filter((subpath) => subpath.startsWith("./adapters/"))
        .sort(),
    );
  });

  it("agree on versions and dependencies", () => {
    expect(jsr.version).toBe(manifest.version);
    expect(Object.keys(manifest.dependencies)).toEqual(["jose", "zod"]);
    for (const [name, range] of Object.entries(manifest.dependencies)) expect(jsr.imports[name]).toBe(`npm:${name}@${range}`);
    expect(readFileSync(`${root}CHANGELOG.md`, "utf8")).toContain(`## ${manifest.version}`);
  });

  it("pins every tool and every runtime under test", () => {
    const tools = Object.entries(manifest.devDependencies);
    expect(tools.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
    const wanted =
      "node bun deno miniflare typescript tsup vitest happy-dom bun-types playwright-core fast-check publint @arethetypeswrong/cli";
    expect(tools.map(([name]) => name)).toEqual(expect.arrayContaining(wanted.split(" ")));
    expect(manifest.devDependencies["node"]).toMatch(/^24\./);
  });

  it("the lockfile names no registry host", () => {
    const lock: { packages: Record<string, { resolved?: string }> } = JSON.parse(readFileSync(`${root}package-lock.json`, "utf8"));
    const foreign = Object.values(lock.packages)
      .map(({ resolved }) => resolved)
      .filter((url) => url && !url.startsWith("https://registry.npmjs.org/"));
    expect(foreign).toEqual([]);
  });
});

describe("the package as others see it", () => {
  it("publint finds nothing", () => {
    expect(run(bin("publint"), ["run", "--strict", "--level", "suggestion"])).toMatch(/All good|No issues/i);
  });

  it("its types resolve under every resolution of an ESM package", () => {
    run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder]);
    const tarball = `${folder}/${readdirSync(folder).find((name) => name.endsWith(".tgz"))}`;
    run(bin("attw"), [tarball, "--profile", "esm-only", "--exclude-entrypoints", "./client.global.js"]);
    const files = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).split("\n");
    expect(files.filter((name) => /\.env|\.sqlite|\/test\/|\/src\/.*(?<!\.d)\.ts$/.test(name))).toEqual([]);
    expect(files).toContain("package/dist/index.js");
  });

  it("deno would publish it, and not at the price of slow types, which it would have to be allowed", () => {
    const output = run(bin("deno"), ["publish", "--dry-run", "--allow-dirty", "--no-check=remote"]);
    expect(output).toMatch(/Success|dry run complete/i);
  });

  it("can be required by a CommonJS program: nothing runs at module scope", () => {
    const subpaths = entries.map(({ subpath }) => subpath.replace(".", "gatepass"));
    const script = `for (const name of ${JSON.stringify(subpaths)}) require(name)`;
    run(process.execPath, ["-e", script]);
  });
});
