// Serves the store on a Deno KV file over HTTP, for those who are not Deno: prints its URL.
import { denoKvStore } from "../../../../adapters/deno-kv.ts";
import { serveStore } from "../../../helpers/remote-store.ts";
import { runtime } from "./runtime.ts";

const store = denoKvStore(await runtime.openKv(runtime.args[0]), { timeoutMs: 10_000 });
runtime.serve({ port: 0, hostname: "127.0.0.1", onListen: ({ port }) => console.log(`http://127.0.0.1:${port}/`) }, (request) =>
  serveStore(store, {}, request),
);
