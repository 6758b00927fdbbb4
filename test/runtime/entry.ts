// Node, Bun, Deno: prints the report as one line of JSON.
import { clearanceCases } from "./clearance.cases.ts";
import { gateCases } from "./gate.cases.ts";
import { runCases } from "./harness.ts";
import { tokenCases } from "./tokens.cases.ts";

console.log(JSON.stringify(await runCases([...tokenCases, ...gateCases, ...clearanceCases])));
