import { mergeConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";
import base from "../vitest.config.ts";

const exclude = [
  "node_modules/**",
  // They start programs or bundle pages, which takes most of the time, and the areas do not need them.
  "test/unit/{cli,client,demo,emulator,game}/**",
  // Reads the text of the sources, which the mutants change.
  "test/unit/promises/deployment.test.ts",
];

/** A mutant is done with at the first test that fails: an area's own tests find most, and the long ones come last. */
const FIRST = [
  "unit/tokens",
  "unit/store",
  "contract/store",
  "unit/gate",
  "unit/clearance",
  "unit/limits",
  "unit/http",
  "unit/promises",
  "unit/attacks",
];

class AreaFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = FIRST.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
      return at < 0 ? FIRST.length : at;
    };
    return [...files].sort((a, b) => rank(a) - rank(b));
  }
}

// Besides the unit tests: of the contracts the one that needs no backend.
const include = ["test/contract/store/memory.test.ts"];

const config = mergeConfig(base, { test: { include, exclude, sequence: { sequencer: AreaFirst } } });
const only = process.env["MUTATION_TESTS"];
if (only) config.test.include = only.split(",");

export default config;
