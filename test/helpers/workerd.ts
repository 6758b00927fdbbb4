import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { Miniflare, type MiniflareOptions } from "miniflare";
import { root } from "./sources.ts";

/** What a Worker under test is bound to; the names are those of its `env`. */
export interface WorkerdOptions {
  /** The Worker's entry, a TypeScript file, as a path from the root. It may import from src, adapters and `cloudflare:workers`. */
  entry: string;
  /** Binding to the class that the entry exports; these keep their data in SQLite. */
  durableObjects?: Record<string, string>;
  /** As `durableObjects`, of classes that were made for key-value storage and have no SQL. */
  keyValueObjects?: Record<string, string>;
  d1?: readonly string[];
  kv?: readonly string[];
  /** Binding to its limit, and its period in seconds. */
  ratelimits?: Record<string, { limit: number; period: 10 | 60 }>;
  /** Plain values of `env`. */
  bindings?: Record<string, string | number | boolean>;
  /** Folder for the data of all bindings, which survives `restart`. Default: one in memory where there is any (workerd waits for the disk after each write), gone with `dispose`. */
  persist?: string;
  /** Default `2026-04-01`. */
  compatibilityDate?: string;
  compatibilityFlags?: readonly string[];
}

/** A Worker that runs in workerd. */
export interface Workerd {
  /** Sends a request to the Worker; `path` begins with a slash. */
  fetch(path: string, init?: { method?: string; headers?: Record<string, string>; body?: string }): Promise<WorkerdResponse>;
  /** What `remoteStore` takes: `POST`s a body to `path`, default `/`. */
  send(path?: string): (body: string) => Promise<Pick<WorkerdResponse, "text">>;
  /** The address where it answers on loopback, without a slash at the end; another one after each `restart`. */
  url(): Promise<string>;
  /** Ends workerd and starts a new one with the same Worker. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

/** As much of a response as tests read. */
export interface WorkerdResponse {
  status: number;
  text(): Promise<string>;
  json(): Promise<unknown>;
}

/** Bundles a Worker and starts it in workerd. */
export async function startWorkerd(options: WorkerdOptions): Promise<Workerd> {
  const own =
    options.persist === undefined ? mkdtempSync(`${existsSync("/dev/shm") ? "/dev/shm" : tmpdir()}/gatepass-workerd-`) : undefined;
  const started = { ...settingsOf(options, own ?? options.persist), ...(await moduleOf(options.entry)) };
  let miniflare = new Miniflare(started);
  await miniflare.ready;
  // workerd drops a connection that was idle for 5 s.
  const agent = new Agent({ keepAlive: true, timeout: 3000 });
  return {
    fetch: (path, init = {}) => miniflare.dispatchFetch(`http://localhost${path}`, init),
    send:
      (path = "/") =>
      async (body) =>
        post(new URL(path, await miniflare.unsafeGetDirectURL()), agent, body),
    url: async () => (await miniflare.unsafeGetDirectURL()).origin,
    async restart() {
      await miniflare.dispose();
      miniflare = new Miniflare(started);
      await miniflare.ready;
    },
    async dispose() {
      agent.destroy();
      await miniflare.dispose();
      if (own !== undefined) rmSync(own, { recursive: true, force: true });
    },
  };
}

/** A third of the time that `dispatchFetch` takes: a contract suite makes some thousands of calls, one after the other. The Worker has to read the body. */
function post(url: URL, agent: Agent, body: string): Promise<Pick<WorkerdResponse, "text">> {
  return new Promise((resolve, reject) => {
    request(url, { method: "POST", agent }, (answer) => resolve({ text: () => text(answer) }))
      .on("error", reject)
      .end(body);
  });
}

/** A Worker as one module, made of sources. */
async function moduleOf(entry: string): Promise<{ modules: { type: "ESModule"; path: string; contents: string }[] }> {
  const { outputFiles } = await build({
    entryPoints: [`${root}${entry}`],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    logLevel: "error",
  });
  return { modules: [{ type: "ESModule", path: "worker.mjs", contents: outputFiles[0]?.text ?? "" }] };
}

function settingsOf(options: WorkerdOptions, persist = ""): Omit<MiniflareOptions, "workers"> {
  const { durableObjects = {}, keyValueObjects = {}, d1 = [], kv = [], ratelimits = {}, bindings = {} } = options;
  const each = <T, R>(record: Record<string, T>, make: (value: T) => R): Record<string, R> =>
    Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value)]));
  return {
    compatibilityDate: options.compatibilityDate ?? "2026-04-01",
    compatibilityFlags: [...(options.compatibilityFlags ?? [])],
    durableObjects: {
      ...each(durableObjects, (className) => ({ className, useSQLite: true })),
      ...each(keyValueObjects, (className) => ({ className, useSQLite: false })),
    },
    d1Databases: [...d1],
    kvNamespaces: [...kv],
    ratelimits: each(ratelimits, (simple) => ({ simple })),
    bindings,
    // Without Miniflare's own Worker in front of each request.
    unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
    durableObjectsPersist: `${persist}/do`,
    d1Persist: `${persist}/d1`,
    kvPersist: `${persist}/kv`,
  };
}
