// How Deno KV grows by requests of strangers, under Deno: prints keys and kilobytes for 1,000 of them as JSON.
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { denoKvStore } from "../../../adapters/deno-kv.ts";
import { flood, perThousand } from "./strangers-traffic.mjs";

const folder = mkdtempSync(join(tmpdir(), "gatepass-strangers-"));
const file = join(folder, "kv.db");
const kv = await Deno.openKv(file);
const bytes = () => statSync(file).size + (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0);
try {
  const store = denoKvStore(kv, { timeoutMs: 60_000 });
  const before = bytes();
  const requests = await flood(store);
  let keys = 0;
  for await (const _ of kv.list({ prefix: ["gatepass"] })) keys += 1;
  // What waits in the log is written into the file, and the log is gone, when the database is closed.
  kv.close();
  console.log(JSON.stringify(perThousand({ keys, bytes: bytes() - before }, requests)));
} finally {
  rmSync(folder, { recursive: true });
}
