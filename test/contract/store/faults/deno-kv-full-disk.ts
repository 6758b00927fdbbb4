// Runs under Deno: spends on a disk of 1 MiB until it is full, and further; then makes room, and spends again. Prints what it saw as JSON.
// `tmpfs`: the folder is a file system of 4 MiB, mounted for this process alone, and all but 1 MiB of it is taken. `limit`: the kernel lets no file of this process
// grow beyond 1 MiB from now on.
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { denoKvStore } from "../../../../adapters/deno-kv.ts";
import { isGatepassError } from "../../../../src/errors.ts";
import { runtime } from "../deno-kv/runtime.ts";

const [folder = "", kind = ""] = process.argv.slice(2);
const MIB = 1024 * 1024;
const filler = `${folder}/filler`;
const prlimit = (bytes: string): unknown => spawnSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:unlimited`]);
if (kind === "tmpfs") writeFileSync(filler, new Uint8Array(3 * MIB));
else prlimit(String(MIB));
const kv = await runtime.openKv(`${folder}/kv.db`);
const store = denoKvStore(kv);
const expiresAt = Date.now() + 3_600_000;
const code = (error: unknown): string => (isGatepassError(error) ? error.code : String(error));

const admitted: string[] = [];
const rejected: string[] = [];
let [slowest, next] = [0, 0];
async function spend(): Promise<boolean> {
  const key = `${next++}-${"k".repeat(400)}`;
  const begin = performance.now();
  const outcome = await store.spend([{ key, limit: 1, expiresAt }]).then(({ ok }) => ok, code);
  slowest = Math.max(slowest, performance.now() - begin);
  if (outcome === true) admitted.push(key);
  else rejected.push(String(outcome));
  return outcome === true;
}

while (rejected.length === 0 && next < 20_000) await Promise.all(Array.from({ length: 8 }, spend));
const filledAt = admitted.length;
for (let i = 0; i < 20; i++) await spend();
rejected.push(await store.block(`b${"k".repeat(400)}`, expiresAt).then(() => "blocked", code));
if (kind === "tmpfs") rmSync(filler);
else prlimit("unlimited");
const again: boolean[] = [];
for (let i = 0; i < 20; i++) again.push(await spend());
kv.close();

// Nobody was told "ok" whose use is not there, seen by another connection.
const other = await runtime.openKv(`${folder}/kv.db`);
const reopened = denoKvStore(other);
let forgotten = 0;
for (const key of admitted) if ((await reopened.spend([{ key, limit: 1, cost: 0, expiresAt }])).states[0]?.remaining !== 0) forgotten += 1;
other.close();
console.log(
  JSON.stringify({ filledAt, rejected: rejected.length, codes: [...new Set(rejected)], again: again.every(Boolean), forgotten, slowest }),
);
process.exit(0);
