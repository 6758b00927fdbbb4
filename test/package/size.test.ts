import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { root } from "../helpers/sources.ts";

/**
 * Bytes that everybody loads who imports `names` from `entry`: minified, brotli at its best, dependencies within. What `gate.check()` says in words
 * is not among them, in a bundle that is split: it is a chunk of its own, which no request loads.
 */
async function bytes(names: string, entry: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents: `export ${names} from "${entry}";`, resolveDir: root },
    bundle: true,
    splitting: true,
    outdir: "out",
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  const loaded = outputFiles.filter(({ path }) => !/\bdoctor-[\w-]+\.js$/.test(path));
  expect(outputFiles.length - loaded.length).toBeLessThanOrEqual(1);
  return loaded.reduce((sum, { contents }) => sum + compressed(contents), 0);
}

function compressed(content: Uint8Array): number {
  return brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
}

describe("brotli budgets, per import", () => {
  it("createTokens: 8 kB with jose in it", async () => {
    expect(await bytes("{ createTokens }", "gatepass/tokens")).toBeLessThanOrEqual(8_000);
  });
  it("createTurnstile: 2.2 kB", async () => {
    expect(await bytes("{ createTurnstile }", "gatepass/turnstile")).toBeLessThanOrEqual(2_200);
  });
  it("the gate kernel: 22.5 kB beyond tokens and Turnstile", async () => {
    const base = (await bytes("{ createTokens }", "gatepass/tokens")) + (await bytes("{ createTurnstile }", "gatepass/turnstile"));
    expect((await bytes("{ createGate }", "gatepass")) - base).toBeLessThanOrEqual(22_500);
  });
  it("the whole server entry: 34 kB (the goal is 28)", async () => {
    expect(await bytes("*", "gatepass")).toBeLessThanOrEqual(34_000);
  });
  it("createClient: 4.6 kB, without jose, zod or any server code in it", async () => {
    expect(await bytes("{ createClient }", "gatepass/client")).toBeLessThanOrEqual(4_600);
    const { metafile } = await build({
      entryPoints: [`${root}src/client/index.ts`],
      bundle: true,
      format: "esm",
      write: false,
      metafile: true,
      absWorkingDir: root,
    });
    const foreign = Object.keys(metafile.inputs).filter((path) => !/^src\/(client|util|game)\/|^src\/(errors|protocol)\.ts$/.test(path));
    expect(foreign).toEqual([]);
  });
  it("foldName with Unicode's confusables: 2 kB", async () => {
    expect(await bytes("{ foldName }", "./src/scores/fold.ts")).toBeLessThanOrEqual(2_000);
  });
  it("the classic script: 5.6 kB", () => {
    expect(compressed(readFileSync(`${root}dist/client.global.js`))).toBeLessThanOrEqual(5_600);
  });
});
