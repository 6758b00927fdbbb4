// Runs the visitors of two processes under Deno, on Deno KV, and prints what came of it as JSON.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { denoKvStore } from "../../../../adapters/deno-kv.ts";
import { runtime } from "../deno-kv/runtime.ts";
import { report } from "./visitor.ts";

const folder = mkdtempSync(join(tmpdir(), "gatepass-offsets-"));
const path = join(folder, "kv.db");
const kvs = [await runtime.openKv(path), await runtime.openKv(path)];
let opened = 0;
console.log(
  JSON.stringify(
    await report(async (clock) => denoKvStore(kvs[opened++ % 2] ?? (await runtime.openKv(path)), { clock, timeoutMs: 20_000 }), 60),
  ),
);
for (const kv of kvs) kv.close();
rmSync(folder, { recursive: true });
