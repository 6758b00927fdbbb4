// `npm run mutation`: breaks the code at 150 places in each area, one at a time, and shows what the unit tests do not notice.
//
//     npm run mutation -- tokens store --seed 7 --sample 300
//     npm run mutation -- tokens --sample 1000 --tests 'test/unit/tokens/*.test.ts'
import { readFileSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Stryker } from "@stryker-mutator/core";
import { AREAS, type Area, LEFT_OUT } from "./areas.ts";
import { describeMutant, type Equivalent, isDetected, isDrawn, isSame, readSources, type SampleOptions } from "./sample.ts";

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: "1" },
    sample: { type: "string", default: "150" },
    tests: { type: "string", multiple: true, default: [] },
  },
});
const size = Number(values.sample);
if (!Number.isSafeInteger(size) || size < 1) usage('"--sample" is no positive integer');
const areas = (positionals.length > 0 ? positionals : Object.keys(AREAS)).map((name): [string, Area] => [
  name,
  AREAS[name] ?? usage(`no area "${name}"`),
]);
const equivalent: Equivalent[] = JSON.parse(readFileSync("test/mutation/equivalent.json", "utf8"));
const folders = areas.map(([, { folder }]) => folder);
folders.forEach(readSources);
const sample: SampleOptions = { seed: values.seed, size, folders, equivalent };
// Stryker's own way to name tests would leave out every mutant of a module's scope.
process.env["MUTATION_TESTS"] = values.tests.join(",");

// No type of Stryker's knows the options that plugins add.
const options: object = {
  mutate: [...folders.map((folder) => `${folder}/**/*.ts`), ...LEFT_OUT.map((pattern) => `!${pattern}`)],
  plugins: ["@stryker-mutator/vitest-runner", "./test/mutation/sample.ts"],
  testRunner: "vitest",
  vitest: { configFile: "test/mutation/vitest.config.ts", related: false },
  checkers: ["sample"],
  sample,
  coverageAnalysis: "perTest",
  concurrency: 2,
  incremental: false,
  reporters: ["sample"],
  logLevel: "warn",
  warnings: { slow: false },
  // Relative to the repository; Git and the linter ignore it there.
  tempDirName: "test/output/mutation",
  ignorePatterns: [".data", "dist", "test/output", "test/bench"],
  // The tests run without a type check, and Stryker's own look at this file does not know the compiler's version.
  tsconfigFile: "there-is-none.json",
  disableTypeChecks: false,
  timeoutMS: 15_000,
  dryRunTimeoutMinutes: 30,
  allowConsoleColors: false,
};

// What went wrong has been said.
const tested = await new Stryker(options).runMutationTest().catch(() => process.exit(2));
const results = tested.map((result) => ({ result, ...describeMutant(result, result.location, 1) }));

let failed = 0;
for (const [name, { folder, goal }] of areas) {
  const all = results.filter(({ file }) => file.startsWith(`${folder}/`));
  const drawn = all.filter(({ result }) => isDrawn(result));
  const detected = drawn.filter(({ result }) => isDetected(result)).length;
  const score = (100 * detected) / drawn.length;
  if (!(score >= goal)) failed += 1;
  const share = `${detected} of ${drawn.length} drawn, ${all.length} in all`;
  console.log(`${name}: ${score.toFixed(1)} % (${share}), goal ${goal} %: ${score >= goal ? "reached" : "NOT REACHED"}`);
  for (const one of equivalent) {
    if (!one.file.startsWith(`${folder}/`) || all.some((result) => isSame(one, result))) continue;
    failed += 1;
    console.log(`${name}: equivalent.json names a mutant that there is not: ${one.file}: ${one.line}`);
  }
}
process.exitCode = failed > 0 ? 1 : 0;

function usage(what: string): never {
  console.error(`Cannot mutate: ${what}
  AREA...        ${Object.keys(AREAS).join(", ")} (all)
  --seed TEXT    what draws the sample (1)
  --sample N     mutants of each area (150)
  --tests GLOB   only these tests of the set, for a quick look; may be given more than once`);
  process.exit(2);
}
