import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, it } from "vitest";
import { root } from "../helpers/sources.ts";

/** Bytes of what a bundle holds when a user imports `names` from `entry`: minified, brotli at its best, dependencies within. */
async function bytes(names: string, entry: string): Promise<number> {
  const result = await build({
    stdin: { contents: `export { ${names} } from "${entry}";`, resolveDir: root },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    write: false,
    logLevel: "silent",
  });
  return compressed(result.outputFiles[0]?.contents ?? new Uint8Array());
}

function compressed(content: Uint8Array): number {
  return brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
}

describe("brotli budgets, per import", () => {
  it("createTokens: 8 kB with jose in it", async () => {
    expect(await bytes("createTokens", "gatepass/tokens")).toBeLessThanOrEqual(8_000);
  });
  it("createTurnstile: 2 kB", async () => {
    expect(await bytes("createTurnstile", "gatepass/turnstile")).toBeLessThanOrEqual(2_000);
  });
  it("the gate kernel: 17.1 kB beyond tokens and Turnstile (the goal is 12)", async () => {
    const base = (await bytes("createTokens", "gatepass/tokens")) + (await bytes("createTurnstile", "gatepass/turnstile"));
    expect((await bytes("createGate", "gatepass")) - base).toBeLessThanOrEqual(17_100);
  });
  it("the whole server entry: 27.4 kB (the goal is 25)", async () => {
    const result = await build({
      stdin: { contents: `export * from "gatepass";`, resolveDir: root },
      bundle: true,
      minify: true,
      format: "esm",
      target: "es2022",
      write: false,
      logLevel: "silent",
    });
    expect(compressed(result.outputFiles[0]?.contents ?? new Uint8Array())).toBeLessThanOrEqual(27_400);
  });
  it("createClient: 4 kB, without jose, zod or any server code in it", async () => {
    expect(await bytes("createClient", "gatepass/client")).toBeLessThanOrEqual(4_000);
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
  it("the classic script: 5 kB", () => {
    expect(compressed(readFileSync(`${root}dist/client.global.js`))).toBeLessThanOrEqual(5_000);
  });
});
