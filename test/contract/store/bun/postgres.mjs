// Run by `bun test`, with the URL of a server: the store's and the board's contract on Bun.SQL, from sources.

import { afterAll, describe, expect, it } from "bun:test";
import { SQL } from "bun";
import { migrate, postgresBoard, postgresStore } from "../../../../adapters/postgres.ts";
import { testBoard } from "../../../../src/testing/board.ts";
import { testStore } from "../../../../src/testing/store.ts";

const TIMEOUT = 2500;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;
const connect = (max) => new SQL(process.env.POSTGRES_URL, { max, onnotice: () => undefined });
const clients = [connect(4), connect(4), connect(1)];
const [client, other, control] = clients;
afterAll(() => Promise.all(clients.map((one) => one.close())));
await migrate(client);

testStore(
  async () => {
    await control.unsafe("TRUNCATE gatepass_store");
    let time = 1_750_000_000_000;
    const options = { clock: () => time, timeoutMs: PATIENT };
    return {
      store: postgresStore(client, options),
      another: () => postgresStore(other, options),
      impatient: () => postgresStore(client, { ...options, timeoutMs: TIMEOUT }),
      timeoutMs: TIMEOUT,
      advance(ms) {
        time += ms;
      },
      dump: async () => (await control.unsafe("SELECT key FROM gatepass_store")).map(({ key }) => key),
      async hang() {
        const holder = connect(1);
        const held = await holder.reserve();
        await held.unsafe("BEGIN");
        await held.unsafe("LOCK TABLE gatepass_store IN ACCESS EXCLUSIVE MODE");
        return async () => {
          await held.unsafe("ROLLBACK");
          held.release();
          await holder.close();
        };
      },
    };
  },
  { describe, it, expect },
);

testBoard(
  async () => {
    const tables = ["rules", "lists", "rows", "hist", "seen", "bans", "names"].map((table) => `gatepass_board_${table}`);
    await control.unsafe(`TRUNCATE ${tables.join(", ")}`);
    return { board: postgresBoard(client, { timeoutMs: 20_000 }), reopen: () => postgresBoard(other, { timeoutMs: 20_000 }) };
  },
  { describe, it, expect },
);
