// Runs under Deno: spends tokens of a file that others spend as well, and writes each that it was given, until it is killed. Arguments: the file, and its number.
import process from "node:process";
import { denoKvStore } from "../../../../adapters/deno-kv.ts";
import { runtime } from "../deno-kv/runtime.ts";

const [file = "", number = "0"] = process.argv.slice(2);
const store = denoKvStore(await runtime.openKv(file), { timeoutMs: 20_000 });
const expiresAt = Date.now() + 3_600_000;
// In an order of its own, so that they meet; what is spent once is tried again.
for (let i = 0; ; i++) {
  const key = `t${Math.floor(i / 2) + (Number(number) % 2)}`;
  const { ok } = await store.spend([{ key, limit: 1, expiresAt }]);
  if (ok) console.log(key);
}
