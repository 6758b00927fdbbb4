// The Worker of the tests: adapter and objects in one isolate, which is why they share the clock that `advance` moves.
import { DurableObject } from "cloudflare:workers";
import { durableObjectStore, gatepassObject, type ObjectNamespace } from "../../../../adapters/durable-object.ts";
import type { Store } from "../../../../src/store/contract.ts";
import { type StoreUnderTest, testStore } from "../../../../src/testing/store.ts";
import { serveStore } from "../../../helpers/remote-store.ts";
import { blow, type Storm, type StormReport } from "../../../storm/plan.ts";
import { serveSuite } from "../../workers/suites.ts";

/** What the tests do to an object behind the store. */
const INSIDE = "https://inside.invalid/";

let time = 1_750_000_000_000;

function watched(Base: ReturnType<typeof gatepassObject<typeof DurableObject>>): typeof Base {
  return class extends Base {
    override async fetch(request: Request): Promise<Response> {
      if (!request.url.startsWith(INSIDE)) return super.fetch(request);
      const { pathname, searchParams } = new URL(request.url);
      switch (pathname) {
        case "/keys":
          return Response.json(this.#keys());
        case "/sweep": {
          const before = this.#keys().length;
          await this.alarm();
          return Response.json(before - this.#keys().length);
        }
        case "/look": {
          const tables = this.ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'").toArray();
          const [alarm, bytes] = [await this.ctx.storage.getAlarm(), this.ctx.storage.sql.databaseSize];
          return Response.json({ keys: this.#keys(), tables: tables.map(({ name }) => name), alarm, bytes });
        }
        case "/put":
          return Response.json((await this.ctx.storage.put("mine", 1)) ?? null);
        case "/get":
          return Response.json((await this.ctx.storage.get("mine")) ?? null);
        case "/hang":
          void this.ctx.blockConcurrencyWhile(() => new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("ms")))));
          return Response.json(null);
        case "/fill": {
          // Keys k00000, k00001, ...; every other one is dead.
          const numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)";
          const row = "printf('k%05d', i), 0, CASE i % 2 WHEN 0 THEN 1 ELSE 8000000000000 END, 1, ''";
          this.ctx.storage.sql.exec(`INSERT INTO gatepass_store ${numbers} SELECT ${row} FROM n`, Number(searchParams.get("rows")));
          return Response.json(null);
        }
        case "/fail":
          // As a disk that is full has it: the first write succeeds, the second does not.
          this.ctx.storage.sql.exec(
            "CREATE TRIGGER full BEFORE INSERT ON gatepass_store WHEN NEW.key = 'last' BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
          );
          return Response.json(null);
        case "/abort":
          this.ctx.abort("Ended by the test");
          return Response.json(null);
        default:
          return new Response(null, { status: 404 });
      }
    }

    #keys(): unknown[] {
      const { sql } = this.ctx.storage;
      if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'gatepass_store'").toArray().length === 0) return [];
      return sql
        .exec("SELECT key FROM gatepass_store")
        .toArray()
        .map(({ key }) => key);
    }
  };
}

/** Time is what `advance` makes of it. */
export class Virtual extends watched(gatepassObject(DurableObject, { clock: () => time })) {}

/** Time is real. */
export class Real extends watched(gatepassObject(DurableObject)) {}

/** No base class: what there was before `DurableObject` could be imported. */
export class Plain extends gatepassObject() {}

let garbage = "";

/** A class that is no store's: it says to everything what `/garbage` was told. */
export class Stranger extends DurableObject {
  override async fetch(): Promise<Response> {
    return new Response(garbage);
  }
}

type Stub = { fetch(url: string, init: { method: string; body?: string; signal: AbortSignal }): Promise<Response> };
type Env = Record<string, Omit<ObjectNamespace, "get"> & { get(id: unknown): Stub }>;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname, searchParams, search } = new URL(request.url);
    const option = (name: string): string => searchParams.get(name) ?? "";
    const namespace = env[option("class")];
    if (!namespace) return new Response(`No class for ${await request.text()}`, { status: 400 });
    const [shards, prefix, timeoutMs] = [Number(option("shards") || 1), option("prefix"), Number(option("timeoutMs") || 2000)];
    const stubsOf = (prefix: string): Stub[] =>
      Array.from({ length: shards }, (_, shard) => namespace.get(namespace.idFromName(`${prefix}-${shard}`)));
    const stubs = stubsOf(prefix);
    const store = durableObjectStore(namespace, { shards, prefix, timeoutMs });
    if (pathname === "/suite") return serveSuite(request, (kit) => testStore(() => underTest(namespace, shards, stubsOf), kit));
    if (pathname === "/storm") return Response.json(await join(store, await request.json(), Number(option("process"))));
    if (pathname === "/forward") return forward(stubs[0], request);
    if (pathname === "/garbage") {
      garbage = await request.text();
      return new Response("ok");
    }
    if (pathname.startsWith("/inside/")) return Response.json(await inside(stubs, pathname.slice(8) + search));
    const swept = { ...store, sweep: () => sweep(stubs) };
    return serveStore(swept, {}, request);
  },
};

let joined = 0;
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/**
 * Makes a part of a storm, once all parts are there. Calls from a Worker to an object in the same workerd never go through its loop:
 * without pauses one part would run to its end before the next one begins, and connections that wait would be dropped.
 */
async function join(store: Store, storm: Storm, process: number): Promise<StormReport> {
  joined += 1;
  while (joined % storm.processes !== 0) await pause();
  const spend: Store["spend"] = async (quotas) => {
    await pause();
    return store.spend(quotas);
  };
  return blow({ ...store, spend }, storm, process);
}

const TIMEOUT = 300;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
let made = 0;

/** Every test has objects of its own. */
function underTest(namespace: ObjectNamespace, shards: number, stubsOf: (prefix: string) => Stub[]): StoreUnderTest {
  const prefix = `suite${made++}`;
  const open = (timeoutMs = PATIENT): Store => durableObjectStore(namespace, { shards, prefix, timeoutMs });
  const stubs = stubsOf(prefix);
  return {
    // Its alarm sweeps at its own time; here it rings when the suite wants it to.
    store: { ...open(), sweep: () => sweep(stubs) },
    advance(ms) {
      time += ms;
    },
    dump: async () => (await inside(stubs, "keys")).flat().map(String),
    another: () => open(),
    impatient: () => open(TIMEOUT),
    async hang() {
      const over = inside(stubs, `hang?ms=${3 * TIMEOUT}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
      // An object that blocks holds back its own answers, too.
      return async () => void (await over);
    },
    timeoutMs: TIMEOUT,
  };
}

async function sweep(stubs: readonly Stub[]): Promise<number> {
  return (await inside(stubs, "sweep")).reduce<number>((sum, n) => sum + Number(n), 0);
}

/** Asks all objects for the same. */
function inside(stubs: readonly Stub[], path: string): Promise<unknown[]> {
  return Promise.all(
    stubs.map(async (stub) => {
      try {
        const response = await stub.fetch(INSIDE + path, { method: "POST", body: "", signal: AbortSignal.timeout(20_000) });
        return JSON.parse(await response.text());
      } catch (error) {
        return String(error);
      }
    }),
  );
}

/** What a careless Worker does: it hands a visitor's request on. */
async function forward(stub: Stub | undefined, request: Request): Promise<Response> {
  const target = request.headers.get("x-target") ?? request.url;
  const body = await request.text();
  const answer = await stub?.fetch(target, { method: request.method, signal: AbortSignal.timeout(2000), ...(body && { body }) });
  return new Response(await answer?.text(), { status: answer?.status ?? 500 });
}
