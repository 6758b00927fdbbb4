import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { root } from "../../helpers/sources.ts";

it("api.gen.ts is what its sources give: run `npm run generate` after changing them", async () => {
  const { generate }: { generate(): Promise<string> } = await import(`${root}src/emulator/page/build.mjs`);
  expect(readFileSync(`${root}src/emulator/api.gen.ts`, "utf8")).toBe(await generate());
});

it("what the emulator serves evaluates no text", async () => {
  const { API_SCRIPT, FRAME_SCRIPT } = await import("../../../src/emulator/api.gen.ts");
  for (const script of [API_SCRIPT, FRAME_SCRIPT]) expect(script).not.toMatch(/\beval\(|new Function|innerHTML|srcdoc|document\.write/);
});
