// Two plugins of Stryker's: a checker that passes the mutants that are drawn and refuses all others, so that those are never run; and a reporter
// that says which of them no test detected, as soon as it is known.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import { type Checker, type CheckResult, CheckStatus } from "@stryker-mutator/api/check";
import type { Location, Mutant, MutantResult } from "@stryker-mutator/api/core";
import { commonTokens, declareClassPlugin, PluginKind, tokens } from "@stryker-mutator/api/plugin";
import type { DryRunCompletedEvent, Reporter } from "@stryker-mutator/api/report";

/** What the script tells the checker, as Stryker's option `sample`. */
export interface SampleOptions {
  seed: string;
  /** How many mutants of each folder are drawn. */
  size: number;
  folders: string[];
  equivalent: Equivalent[];
}

/** A mutant that behaves as the original does in everything that can be observed, so that no test can detect it. */
export interface Equivalent {
  file: string;
  /** The whole line on which the mutated text begins, without white space at its ends. */
  line: string;
  /** The mutated text, and what takes its place. */
  original: string;
  replacement: string;
  reason: string;
}

/** A mutant in the words of the report. `line` as above. */
export interface Described {
  file: string;
  line: string;
  original: string;
  replacement: string;
}

const lines = new Map<string, string[]>();

/** Reads the sources now, so that a change during the run does not matter. */
export function readSources(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".ts")) lines.set(resolve(folder, name), readFileSync(resolve(folder, name), "utf8").split("\n"));
  }
}

/** `location` counts lines and columns from `base`. */
export function describeMutant({ fileName, replacement }: Mutant, { start, end }: Location, base: 0 | 1): Described {
  const text = lines.get(fileName) ?? [];
  const taken = text.slice(start.line - base, end.line - base + 1);
  taken.push((taken.pop() ?? "").slice(0, end.column - base));
  const original = [(taken[0] ?? "").slice(start.column - base), ...taken.slice(1)].join("\n");
  const file = relative(process.cwd(), fileName).replaceAll(sep, "/");
  return { file, line: (text[start.line - base] ?? "").trim(), original, replacement };
}

/** Where a mutant is, and its change. */
function changeOf(result: MutantResult): string {
  const { file, original, replacement } = describeMutant(result, result.location, 1);
  const { line, column } = result.location.start;
  const indent = (text: string): string => text.replaceAll("\n", "\n      ");
  const kind = result.status === "Survived" ? "" : ` (${result.status})`;
  return `  ${file}:${line}:${column}${kind}\n    - ${indent(original)}\n    + ${indent(replacement)}`;
}

export function isSame(a: Described, b: Described): boolean {
  return a.file === b.file && a.line === b.line && a.original === b.original && a.replacement === b.replacement;
}

const NOT_DRAWN = "not drawn";
const EQUIVALENT = "equivalent";

export function isDetected({ status }: { status: string }): boolean {
  return status === "Killed" || status === "Timeout";
}

export function isDrawn({ statusReason }: { statusReason?: string }): boolean {
  return statusReason !== NOT_DRAWN && statusReason !== EQUIVALENT;
}

class SampleChecker implements Checker {
  static inject = tokens(commonTokens.options);
  readonly #options: SampleOptions;

  constructor(options: object) {
    this.#options = (options as { sample: SampleOptions }).sample;
  }

  async init(): Promise<void> {
    this.#options.folders.forEach(readSources);
  }

  /** All mutants in one group: a sample is drawn of the whole. */
  async group(mutants: Mutant[]): Promise<string[][]> {
    return [mutants.map(({ id }) => id)];
  }

  async check(mutants: Mutant[]): Promise<Record<string, CheckResult>> {
    const { seed, size, folders, equivalent } = this.#options;
    const results: Record<string, CheckResult> = {};
    const ranked: { id: string; folder: string | undefined; rank: string }[] = [];
    for (const mutant of mutants) {
      const described = describeMutant(mutant, mutant.location, 0);
      const known = equivalent.some((one) => isSame(one, described));
      results[mutant.id] = { status: CheckStatus.CompileError, reason: known ? EQUIVALENT : NOT_DRAWN };
      const { line, column } = mutant.location.start;
      const key = JSON.stringify([seed, described, line, column]);
      const folder = folders.find((one) => described.file.startsWith(`${one}/`));
      if (!known) ranked.push({ id: mutant.id, folder, rank: createHash("sha256").update(key).digest("hex") });
    }
    ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
    for (const folder of folders) {
      const drawn = ranked.filter((one) => one.folder === folder).slice(0, size);
      for (const { id } of drawn) results[id] = { status: CheckStatus.Passed };
    }
    return results;
  }
}

class SurvivorReporter implements Reporter {
  #run = 0;
  #start = 0;

  onDryRunCompleted({ result }: DryRunCompletedEvent): void {
    this.#start = performance.now();
    console.log(`${result.tests.length} tests pass without a mutant`);
  }

  onMutantTested(result: MutantResult): void {
    if (!isDrawn(result)) return;
    if (!isDetected(result)) console.log(changeOf(result));
    this.#run += 1;
    if (this.#run % 25 === 0) console.log(`${this.#run} mutants after ${Math.round((performance.now() - this.#start) / 1000)} s`);
  }
}

export const strykerPlugins = [
  declareClassPlugin(PluginKind.Checker, "sample", SampleChecker),
  declareClassPlugin(PluginKind.Reporter, "sample", SurvivorReporter),
];
export const strykerValidationSchema = { properties: { sample: { type: "object" } } };
