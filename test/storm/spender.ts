// One process of a storm, on Node or Deno: says "ready", waits for a line on stdin, spends, and prints its report as JSON; meanwhile, now and then, "done" and how many spends are.
// With "check" for a number the line is the reports of all, and what is printed is what is wrong with them.
import process from "node:process";
import { createInterface } from "node:readline/promises";
import { open } from "./open.ts";
import { blow, faultsOf } from "./plan.ts";

const [backend = "", storm = "", number = "0"] = process.argv.slice(2);
const { store, end } = await open(JSON.parse(backend));
await store.spend([]);
process.stdout.write("ready\n");
const line = await createInterface({ input: process.stdin }).question("");
const progress = { done: 0 };
const timer = setInterval(() => process.stdout.write(`done ${progress.done}\n`), 1000);
const result =
  number === "check"
    ? await faultsOf(store, JSON.parse(storm), JSON.parse(line))
    : await blow(store, JSON.parse(storm), Number(number), progress);
clearInterval(timer);
process.stdout.write(`${JSON.stringify(result)}\n`, async () => {
  await end();
  process.exit(0);
});
