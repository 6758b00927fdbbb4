import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { examplePolicy } from "../../../src/clearance/index.ts";
import { root } from "../../helpers/sources.ts";

it("the published JSON Schema is the one of the sources", async () => {
  const { schemaText }: { schemaText(): string } = await import(`${root}src/clearance/page/build.mjs`);
  const published = JSON.parse(readFileSync(`${root}src/clearance/policy.schema.json`, "utf8"));
  expect(published).toEqual(JSON.parse(schemaText()));
  expect(Object.keys(published.properties).sort()).toEqual(["$schema", ...Object.keys(examplePolicy)].sort());
});

it("the script of the WebView page is the one of the sources", { timeout: 240_000 }, async () => {
  const { generate }: { generate(): Promise<string> } = await import(`${root}src/clearance/page/build.mjs`);
  expect(readFileSync(`${root}src/clearance/mobile.gen.ts`, "utf8")).toBe(await generate());
});
