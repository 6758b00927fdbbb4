// One process of a storm, on Node or Deno: says "ready", waits for a line on stdin, spends, and prints its report as JSON.
import { once } from "node:events";
import process from "node:process";
import { open } from "./open.ts";
import { blow } from "./plan.ts";

const [backend = "", storm = "", number = "0"] = process.argv.slice(2);
const { store, end } = await open(JSON.parse(backend));
await store.spend([]);
process.stdout.write("ready\n");
await once(process.stdin, "data");
const report = await blow(store, JSON.parse(storm), Number(number));
process.stdout.write(`${JSON.stringify(report)}\n`, async () => {
  await end();
  process.exit(0);
});
