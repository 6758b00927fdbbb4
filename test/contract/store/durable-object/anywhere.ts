// Runs on any runtime: the module loads without Cloudflare's, and its class can be made.
import { durableObjectStore, gatepassObject, type ObjectState } from "../../../../adapters/durable-object.ts";

class Gate extends gatepassObject() {}

// Nothing is kept: an object that was never asked before.
const state: ObjectState = {
  storage: {
    sql: { exec: () => ({ toArray: () => [] }) },
    transactionSync: (work) => work(),
    getAlarm: async () => null,
    setAlarm: async () => undefined,
    deleteAlarm: async () => undefined,
    deleteAll: async () => undefined,
    list: async () => ({ size: 0 }),
  },
};
const gate = new Gate(state);
const namespace = {
  idFromName: (name: string) => name,
  get: () => ({
    fetch: (url: string, { method, body }: { method: string; body: string }) => gate.fetch(new Request(url, { method, body })),
  }),
};
const { ok } = await durableObjectStore(namespace).spend([{ key: "k", limit: 1, window: 60 }]);
const { status } = await gate.fetch(new Request("https://game.example/v1/spend", { method: "POST", body: "{}" }));
console.log(JSON.stringify({ status, ok }));
