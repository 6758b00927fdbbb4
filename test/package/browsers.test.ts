import { readFileSync } from "node:fs";
import { build, transform } from "esbuild";
import { describe, expect, it } from "vitest";
import { newerApis, OLDEST } from "../helpers/newer-apis.ts";
import { root } from "../helpers/sources.ts";

const read = (path: string): string => readFileSync(`${root}${path}`, "utf8");
const targets = ["chrome", "firefox", "safari"].map((name) => `${name}${OLDEST[name]}`);

/** What a page loads of an entry, its chunks within, as it is built. */
async function loaded(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`${root}dist/${entry}`],
    bundle: true,
    format: "esm",
    target: "esnext",
    write: false,
  });
  return outputFiles[0]?.text ?? "";
}

describe("the oldest supported browsers", () => {
  it("are named in the README, and the build takes its syntax from them", () => {
    const readme = read("README.md");
    for (const [name, version] of [
      ["Safari", OLDEST["safari"]],
      ["Chrome", OLDEST["chrome"]],
      ["Firefox", OLDEST["firefox"]],
    ])
      expect(readme).toContain(`${name} ${version}`);
    const config = read("tsup.config.ts");
    for (const target of targets) expect(config).toContain(`"${target}"`);
  });

  it.each(["client.js", "client/clearance.js", "client.global.js"])("can read %s: it has no syntax that is newer", async (entry) => {
    const code = await loaded(entry);
    const [newest, oldest] = await Promise.all(["esnext", targets].map((target) => transform(code, { target })));
    expect(oldest?.code).toBe(newest?.code);
    // The comparison sees what is newer.
    const newer = await transform("class A { static { this.b = /(?<=a)b/v } }", { target: targets });
    expect(newer.code).not.toContain("static {");
  });

  it("lack what the browser suite takes away from one of them", () => {
    const names = newerApis().map(({ of, member, place }) => (member ? `${of}${place === "prototype" ? "#" : "."}${member}` : of));
    const newer = ["AbortSignal.any", "AbortSignal.timeout", "URL.canParse", "Response.json", "Promise.withResolvers", "Array.findLast"];
    expect(names).toEqual(
      expect.arrayContaining([...newer, "trustedTypes", "Element#ariaLabel", "HTMLElement#inert", "HTMLElement#popover"]),
    );
    const always = ["fetch", "AbortController", "HTMLDialogElement", "Response#json", "Request#signal", "Request#clone", "Element#closest"];
    for (const name of [...always, "Array.at", "Object.hasOwn", "queueMicrotask"]) expect(names).not.toContain(name);
  });
});
