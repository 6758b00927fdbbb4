// The Worker of the tests: adapter and objects in one isolate, which is why they share the clock that `advance` moves.
import { DurableObject } from "cloudflare:workers";
import { durableObjectStore, gatepassObject, type ObjectNamespace, type ObjectStub } from "../../../../adapters/durable-object.ts";
import { serveStore } from "../../../helpers/remote-store.ts";

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
          return Response.json({ keys: this.#keys(), tables: tables.map(({ name }) => name), alarm: await this.ctx.storage.getAlarm() });
        }
        case "/put":
          return Response.json((await this.ctx.storage.put("mine", 1)) ?? null);
        case "/get":
          return Response.json((await this.ctx.storage.get("mine")) ?? null);
        case "/hang":
          void this.ctx.blockConcurrencyWhile(() => new Promise((resolve) => setTimeout(resolve, Number(searchParams.get("ms")))));
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

type Env = Record<string, ObjectNamespace>;

export default {
  async fetch(request: Request, env: Env, context: { waitUntil(promise: Promise<unknown>): void }): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const option = (name: string): string => searchParams.get(name) ?? "";
    const namespace = env[option("class")];
    if (!namespace) return new Response("No such class", { status: 400 });
    const [shards, prefix] = [Number(option("shards") || 1), option("prefix") || "gatepass"];
    const stubs = Array.from({ length: shards }, (_, shard) => namespace.get(namespace.idFromName(`${prefix}-${shard}`)));
    if (pathname === "/forward") return forward(stubs[0], request);
    if (pathname === "/garbage") {
      garbage = await request.text();
      return new Response("ok");
    }
    if (pathname === "/hang") {
      // An object that blocks holds back its answers too.
      context.waitUntil(inside(stubs, `hang?ms=${option("ms")}`));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return new Response("ok");
    }
    if (pathname.startsWith("/inside/")) return Response.json(await inside(stubs, pathname.slice(8)));
    time += Number(option("advance"));
    const store = durableObjectStore(namespace, { shards, prefix, timeoutMs: Number(option("timeoutMs") || 2000) });
    const extras = {
      dump: async () => (await inside(stubs, "keys")).flat().map(String),
      sweep: async () => (await inside(stubs, "sweep")).reduce<number>((sum, n) => sum + Number(n), 0),
    };
    return serveStore(store, extras, request);
  },
};

/** Asks all objects for the same. */
function inside(stubs: readonly ObjectStub[], path: string): Promise<unknown[]> {
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
async function forward(stub: ObjectStub | undefined, request: Request): Promise<Response> {
  const target = request.headers.get("x-target") ?? request.url;
  const init = { method: request.method, body: await request.text(), signal: AbortSignal.timeout(2000) };
  const answer = await stub?.fetch(target, init);
  return new Response(await answer?.text(), { status: answer?.status ?? 500 });
}
