// What D1 and a Durable Object are charged for: rows, as they count them themselves.
import { d1Board, d1Store } from "../../../adapters/d1.ts";
import { durableObjectStore, gatepassObject } from "../../../adapters/durable-object.ts";
import { rateKey, usesKey } from "../../../src/store/keys.ts";

const RULES = { periods: ["all", "2026-W47", "2026-11-20"], order: "desc", operator: "best" };
const counted = { rowsRead: 0, rowsWritten: 0 };

const Plain = gatepassObject();
export class Gate {
  constructor({ storage }) {
    const bound =
      (name) =>
      (...args) =>
        storage[name](...args);
    const names = ["transactionSync", "getAlarm", "deleteAlarm", "deleteAll", "list"];
    this.object = new Plain({
      storage: {
        ...Object.fromEntries(names.map((name) => [name, bound(name)])),
        // Charged as one row.
        setAlarm: (at) => {
          counted.rowsWritten += 1;
          return storage.setAlarm(at);
        },
        sql: {
          exec(query, ...values) {
            const cursor = storage.sql.exec(query, ...values);
            const rows = cursor.toArray();
            counted.rowsRead += cursor.rowsRead;
            counted.rowsWritten += cursor.rowsWritten;
            return { toArray: () => rows };
          },
        },
      },
    });
  }
  fetch(request) {
    return this.object.fetch(request);
  }
  alarm() {
    return this.object.alarm();
  }
}

export default {
  async fetch(_, env) {
    const d1 = {
      prepare: (sql) => env.DB.prepare(sql),
      async batch(statements) {
        const answers = await env.DB.batch(statements);
        for (const { meta } of answers) {
          counted.rowsRead += meta.rows_read;
          counted.rowsWritten += meta.rows_written;
        }
        return answers;
      },
    };
    const costs = {};
    for (const [name, store] of [
      ["D1", d1Store(d1)],
      ["Durable Object", durableObjectStore(env.GATE)],
    ]) {
      await store.spend(quotas("another", 0)); // Tables are made once.
      costs[`spend on ${name}, a visitor's first`] = await cost(() => store.spend(quotas("visitor", 1)));
      costs[`spend on ${name}, those that follow`] = await cost(() => store.spend(quotas("visitor", 2)));
      costs[`spend on ${name}, refused`] = await cost(() => store.spend(quotas("visitor", 2)));
    }
    const board = d1Board(d1);
    await board.submit(entry("another", 5, 0), RULES);
    costs["score on D1, a player's first"] = await cost(() => board.submit(entry("player", 7, 1), RULES));
    costs["score on D1, a better one"] = await cost(() => board.submit(entry("player", 70_000, 2), RULES));
    costs["score on D1, a worse one"] = await cost(() => board.submit(entry("player", 6, 3), RULES));
    return Response.json(costs);
  },
};

async function cost(work) {
  Object.assign(counted, { rowsRead: 0, rowsWritten: 0 });
  await work();
  return { ...counted };
}

/** Burst, daily, and the one use of a token. */
function quotas(address, token) {
  return [
    { key: rateKey({ name: "burst", window: 60 }, [address]), limit: 30, window: 60 },
    { key: rateKey({ name: "daily", window: 86_400 }, [address]), limit: 1000, window: 86_400 },
    { key: usesKey("jti", `token-${token}`), limit: 1, expiresAt: Date.now() + 900_000 },
  ];
}

function entry(player, score, at) {
  return { board: "main", player, score, at, submission: `${player}-${at}`, level: "claimed", flags: [], name: "Quiet Otter" };
}
