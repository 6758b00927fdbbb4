import { runCases } from "./harness.ts";
import { tokenCases } from "./tokens.cases.ts";

const report = await runCases(tokenCases);
document.title = "done";
document.body.textContent = JSON.stringify(report);
