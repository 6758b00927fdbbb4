// Writes what is published besides code: the JSON Schema of a policy. Run by `npm run generate`.
import { writeFileSync } from "node:fs";
import * as z from "zod/mini";
import { policySchema } from "../policy.ts";

/** As text, for the file and for the test that compares it. */
export function schemaText() {
  const { $schema, ...schema } = z.toJSONSchema(policySchema);
  return `${JSON.stringify({ $schema, title: "gatepass clearance policy", description: "Which requests need a clearance", ...schema }, null, 2)}\n`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) writeFileSync(new URL("../policy.schema.json", import.meta.url), schemaText());
