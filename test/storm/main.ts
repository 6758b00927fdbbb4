// `npm run test:storm`: 8 processes with 64 callers each make 10,000,000 spends on Redis, and as many on SQLite; never is a unit too many admitted, and
// none too few. It takes a while.
//
//     npm run test:storm -- --backend sqlite --spends 200000
import process from "node:process";
import { parseArgs } from "node:util";
import { runStorm } from "./run.ts";
import { KINDS, startBackend } from "./start.ts";

const DAY = 86_400_000;
const { values } = parseArgs({
  options: {
    backend: { type: "string", multiple: true, default: ["redis", "sqlite"] },
    spends: { type: "string", default: "10000000" },
    processes: { type: "string", default: "8" },
    callers: { type: "string", default: "64" },
  },
});
const [spends, processes, callers] = [count("spends"), count("processes"), count("callers")];
const kinds = values.backend.map((name) => KINDS.find((kind) => kind === name) ?? usage(`no backend "${name}"`));

for (const kind of kinds) {
  const { backend, end } = await startBackend(kind);
  const begin = performance.now();
  let told = begin;
  console.log(`${kind}: ${spends} spends, ${processes} processes, ${callers} callers each`);
  try {
    const { faults, reports, seconds } = await runStorm(backend, { processes, callers, spends, expiresAt: Date.now() + DAY }, (done) => {
      if (performance.now() - told < 10_000) return;
      told = performance.now();
      console.log(`${kind}: ${done} done (${((100 * done) / spends).toFixed(1)}%) after ${Math.round((told - begin) / 1000)} s`);
    });
    const errors = reports.flatMap((report) => report.errors);
    const sum = (of: (report: (typeof reports)[number]) => number): number => reports.reduce((all, report) => all + of(report), 0);
    const units = sum(({ admitted }) => Object.values(admitted).reduce((all, one) => all + one, 0));
    const rejected = sum((report) => report.rejected);
    for (const fault of [...faults, ...errors].slice(0, 20)) console.error(`${kind}: ${fault}`);
    const verdict = faults.length === 0 && rejected === 0 ? "to the unit" : `${faults.length} faults`;
    console.log(
      `${kind}: ${verdict}. ${units} units admitted, ${sum((report) => report.refused)} spends refused, ${rejected} rejected, in ${seconds.toFixed(1)} s (${Math.round(spends / seconds)} spends a second)`,
    );
    // Nothing is wrong with these backends: what rejects is a fault here.
    if (faults.length > 0 || rejected > 0) process.exitCode = 1;
  } catch (error) {
    console.error(`${kind}: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  } finally {
    await end();
  }
}

function count(name: "spends" | "processes" | "callers"): number {
  const value = Number(values[name]);
  return Number.isSafeInteger(value) && value > 0 ? value : usage(`"--${name}" is no positive integer`);
}

function usage(what: string): never {
  console.error(`Cannot make a storm: ${what}
  --backend NAME     ${KINDS.join(", ")}; may be given more than once (redis, sqlite)
  --spends N         in all (10000000)
  --processes N      (8)
  --callers N        of each process (64)`);
  process.exit(2);
}
