import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import postgres from "postgres";
import { migrate, type PostgresClient, type PostgresStoreOptions, postgresStore } from "../../../adapters/postgres.ts";
import type { StoreUnderTest } from "../../../src/testing/store.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";

/** Of the store that is tested with a server that hangs. */
const TIMEOUT = 1000;
/** Much: on a busy machine only what is tested with `hang` may run out of time. */
const PATIENT = 30_000;

/** A server and the clients of one test file. */
export interface Clients {
  server: PostgresServer;
  pool(options?: pg.PoolConfig): pg.Pool;
  porsager(options?: postgres.Options<Record<string, never>>): postgres.Sql;
  close(): Promise<void>;
}

/** Starts a server; {@link Clients.close} ends it and every client that was made. */
export async function startClients(options: Parameters<typeof startPostgres>[0] = {}): Promise<Clients> {
  const server = await startPostgres(options);
  const ends: (() => Promise<void>)[] = [];
  return {
    server,
    pool(options = {}) {
      const made = new pg.Pool({ connectionString: server.url, max: 4, ...options });
      made.on("error", () => undefined);
      ends.push(() => made.end());
      return made;
    },
    porsager(options = {}) {
      const made = postgres(server.url, { max: 4, onnotice: () => undefined, ...options });
      ends.push(() => made.end({ timeout: 1 }));
      return made;
    },
    async close() {
      server.resume();
      // A test that failed may have kept a connection, which its pool would wait for.
      await Promise.race([Promise.allSettled(ends.map((end) => end())), sleep(1000)]);
      await server.close();
    },
  };
}

/** Every process stops; connections stay. */
export function pause({ server }: Clients): () => void {
  server.pause();
  return () => server.resume();
}

/** Somebody else holds the table, as VACUUM FULL or a careless ALTER TABLE does. */
export async function holdTable({ server }: Clients): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: server.url });
  await client.connect();
  await client.query("BEGIN; LOCK TABLE gatepass_store IN ACCESS EXCLUSIVE MODE");
  return () => client.end();
}

/** A store over each of two clients, which are made with the first test and end with the last. */
export function underTest(
  clients: () => Clients,
  connect: (clients: Clients) => PostgresClient,
  hang: (clients: Clients) => ReturnType<NonNullable<StoreUnderTest["hang"]>>,
  clocked = true,
): () => Promise<StoreUnderTest> {
  const made: PostgresClient[] = [];
  return async () => {
    const { server } = clients();
    if (made.length === 0) made.push(connect(clients()), connect(clients()));
    const [client, other] = made;
    if (client === undefined || other === undefined) throw new Error("No client");
    await migrate(client);
    await server.run("TRUNCATE gatepass_store");
    let time = 1_750_000_000_000;
    const options: PostgresStoreOptions = { timeoutMs: PATIENT, ...(clocked ? { clock: () => time } : {}) };
    const advance = (ms: number): void => {
      time += ms;
    };
    return {
      store: postgresStore(client, options),
      another: () => postgresStore(other, options),
      impatient: () => postgresStore(client, { ...options, timeoutMs: TIMEOUT }),
      dump: async () => (await server.run("SELECT key FROM gatepass_store")).map(({ key }) => String(key)),
      hang: () => hang(clients()),
      timeoutMs: TIMEOUT,
      ...(clocked ? { advance } : {}),
    };
  };
}
