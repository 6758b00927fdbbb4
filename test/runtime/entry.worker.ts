import { clearanceCases } from "./clearance.cases.ts";
import { gateCases } from "./gate.cases.ts";
import { runCases } from "./harness.ts";
import { tokenCases } from "./tokens.cases.ts";

export default {
  async fetch(): Promise<Response> {
    return Response.json(await runCases([...tokenCases, ...gateCases, ...clearanceCases]));
  },
};
