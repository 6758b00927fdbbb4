// How D1, a Durable Object and Workers KV grow by requests of strangers, as they count it themselves.
import { kvStore } from "../../../adapters/cloudflare-kv.ts";
import { d1Store } from "../../../adapters/d1.ts";
import { durableObjectStore, gatepassObject } from "../../../adapters/durable-object.ts";
import { flood, perThousand } from "./strangers-traffic.mjs";

const patient = { timeoutMs: 60_000 };
const Plain = gatepassObject();

export class Gate {
  constructor(state) {
    this.sql = state.storage.sql;
    this.object = new Plain(state);
  }
  fetch(request) {
    if (!request.url.endsWith("/size")) return this.object.fetch(request);
    const tables = this.sql
      .exec("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' AND name NOT LIKE 'sqlite%'")
      .toArray();
    const keys = tables.map(({ name }) => this.sql.exec(`SELECT count(*) AS n FROM "${name}"`).one().n);
    return Response.json({ keys: keys.reduce((sum, n) => sum + n, 0), bytes: this.sql.databaseSize });
  }
  alarm() {
    return this.object.alarm();
  }
}

const STORES = {
  D1: async ({ DB }) => ({
    store: d1Store(DB, patient),
    async size() {
      // A key has a row for each part of its window.
      const { results, meta } = await DB.prepare("SELECT count(DISTINCT key) AS n FROM gatepass_store").all();
      return { keys: results[0].n, bytes: meta.size_after };
    },
  }),
  "Durable Object": async ({ GATE }) => ({
    store: durableObjectStore(GATE, patient),
    size: async () => (await GATE.get(GATE.idFromName("gatepass-0")).fetch("https://object/size")).json(),
  }),
  "Workers KV": async ({ KV }) => ({
    store: kvStore(KV, { ...patient, acceptDoubleSpends: true }),
    async size() {
      let [keys, bytes, cursor] = [0, 0, undefined];
      do {
        const page = await KV.list({ cursor });
        for (const { name } of page.keys) {
          keys += 1;
          bytes += name.length + ((await KV.get(name)) ?? "").length;
        }
        cursor = page.list_complete ? undefined : page.cursor;
      } while (cursor);
      return { keys, bytes };
    },
  }),
};

export default {
  async fetch(request, env) {
    const { store, size } = await STORES[decodeURIComponent(new URL(request.url).pathname.slice(1))](env);
    await store.spend([{ key: "tables are made once", limit: 1, window: 1 }]);
    const before = await size();
    const requests = await flood(store);
    const after = await size();
    return Response.json(perThousand({ keys: after.keys - before.keys, bytes: after.bytes - before.bytes }, requests));
  },
};
