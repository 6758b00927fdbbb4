import { Miniflare } from "miniflare";
import pg from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, it } from "vitest";
import { kvStore } from "../../../adapters/cloudflare-kv.ts";
import { type D1Client, type D1Statement, d1Board, d1Store } from "../../../adapters/d1.ts";
import { durableObjectStore } from "../../../adapters/durable-object.ts";
import { migrate, type PostgresClient, postgresBoard, postgresStore } from "../../../adapters/postgres.ts";
import { type RedisClient, redisBoard, redisStore } from "../../../adapters/redis.ts";
import { upstashStore } from "../../../adapters/upstash.ts";
import type { Store } from "../../../src/store/contract.ts";
import { describeWith, hasRedis, postgresFolder } from "../../helpers/backends.ts";
import { type PostgresServer, startPostgres } from "../../helpers/postgres.ts";
import { type RedisServer, startRedis } from "../../helpers/redis.ts";
import { startUpstash, type UpstashServer } from "../../helpers/upstash.ts";
import { startWorkerd, type Workerd } from "../../helpers/workerd.ts";
import { expectNoAdmissionByWrongShape, expectNoWrongRowsByWrongShape, type Tampering } from "../../helpers/wrong-shapes.ts";

/** Much: a machine that is busy must not make a time-out of an answer. */
const timeoutMs = 60_000;
/** How PostgreSQL's function says that a key has no record or no block. */
const NO_RECORD = /held\[\d\]\[\d\] is (null|undefined)/;
/** How Redis says that a row has no log, or none any more. */
const NO_LOG = /answer\[1\]\[4\] is (null|undefined)/;
const TEST = { timeout: 300_000 };

describeWith("PostgreSQL", postgresFolder() !== undefined)("PostgreSQL behind a driver that answers in wrong shapes", () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  beforeAll(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url, max: 2 });
    pool.on("error", () => undefined);
    await migrate(pool);
  });
  afterAll(async () => {
    await pool.end();
    await server.close();
  });
  /** What the driver gives is one text of JSON in rows: its own shape, and that of the text. */
  const tampered = ({ through }: Tampering): PostgresClient => ({
    async query(text, values) {
      const { rows } = await pool.query(text, values);
      const [row] = through(rows.map(({ answer }) => ({ answer: JSON.parse(answer) })));
      return { rows: [{ answer: JSON.stringify(row?.answer) }] };
    },
  });
  const tamperedRows = ({ through }: Tampering): PostgresClient => ({
    query: async (text, values) => through({ rows: (await pool.query(text, values)).rows }),
  });

  it("postgresStore: what is used up, revoked or full is never admitted", TEST, async () => {
    await expectNoAdmissionByWrongShape((tampering, clock) => postgresStore(tampered(tampering), { clock, timeoutMs }), NO_RECORD);
    await server.run("TRUNCATE gatepass_store");
    await expectNoAdmissionByWrongShape((tampering, clock) => postgresStore(tamperedRows(tampering), { clock, timeoutMs }));
  });
  it("postgresBoard: no wrong row, no wrong rank, and never nothing where something is", TEST, () =>
    expectNoWrongRowsByWrongShape((tampering) => postgresBoard(tampered(tampering), { timeoutMs })),
  );
});

describeWith("redis-server", hasRedis())("Redis behind a driver that answers in wrong shapes", () => {
  let server: RedisServer;
  let upstash: UpstashServer;
  let client: ReturnType<typeof createClient>;
  beforeAll(async () => {
    server = await startRedis();
    upstash = await startUpstash(server.url);
    client = createClient({ url: server.url });
    client.on("error", () => undefined);
    await client.connect();
  });
  afterAll(async () => {
    client.destroy();
    await upstash.close();
    await server.dispose();
  });
  const tampered = ({ through }: Tampering): RedisClient => ({
    send: async (command, args) => through(await client.sendCommand([command, ...args])),
  });

  it("redisStore: what is used up, revoked or full is never admitted", TEST, () =>
    expectNoAdmissionByWrongShape((tampering, clock) => redisStore(tampered(tampering), { prefix: "shapes:", clock, timeoutMs })),
  );
  it("redisBoard: no wrong row, no wrong rank, and never nothing where something is", TEST, () =>
    expectNoWrongRowsByWrongShape((tampering) => redisBoard(tampered(tampering), { timeoutMs }), NO_LOG),
  );
  it("upstashStore, over a proxy that changes its answers", TEST, () =>
    expectNoAdmissionByWrongShape(({ through }, clock) => {
      const { url, token } = upstash;
      const send: typeof fetch = async (input, init) => {
        const response = await fetch(input, init);
        const body = through(await response.json());
        return new Response(JSON.stringify(body), { status: response.status });
      };
      return upstashStore({ url, token, fetch: send }, { prefix: "rest:", clock, timeoutMs });
    }),
  );
});

describe("Cloudflare's bindings, in workerd, when they answer in wrong shapes", () => {
  const miniflare = new Miniflare({
    modules: true,
    script: "export default { fetch: () => new Response() }",
    compatibilityDate: "2026-04-01",
    d1Databases: ["DB"],
    kvNamespaces: ["KV"],
  });
  let objects: Workerd;
  beforeAll(async () => {
    await miniflare.ready;
    objects = await startWorkerd({ entry: "test/contract/workers/object-front.ts", durableObjects: { GATE: "Gate" } });
  });
  afterAll(async () => {
    await objects?.dispose();
    await miniflare.dispose();
  });
  const tampered = async ({ through }: Tampering): Promise<D1Client> => {
    const db = await miniflare.getD1Database("DB");
    return {
      prepare: (sql) => {
        const statement = db.prepare(sql);
        const ours: D1Statement & { statement: typeof statement } = {
          statement,
          bind: (...values) => ({ ...ours, statement: statement.bind(...values) }),
        };
        return ours;
      },
      async batch(statements) {
        const answer = await db.batch(
          statements.map((one) => ("statement" in one ? one.statement : undefined)) as Parameters<typeof db.batch>[0],
        );
        return through(answer.map(({ results }) => ({ results })));
      },
    };
  };

  it("d1Store: what is used up, revoked or full is never admitted", TEST, () =>
    expectNoAdmissionByWrongShape(async (tampering, clock) => d1Store(await tampered(tampering), { clock, timeoutMs })),
  );
  it("d1Board: no wrong row, no wrong rank, and never nothing where something is", TEST, () =>
    expectNoWrongRowsByWrongShape(async (tampering) => d1Board(await tampered(tampering), { timeoutMs })),
  );
  it("kvStore: what is used up, revoked or full is never admitted", TEST, () =>
    expectNoAdmissionByWrongShape(async ({ through }, clock) => {
      const kv = await miniflare.getKVNamespace("KV");
      // Nothing is remembered from call to call, so that every call depends on what KV answers.
      const open = (): Store =>
        kvStore(
          {
            async get(keys) {
              const entries = await Promise.all(keys.map(async (key) => [key, await kv.get(key)]));
              const answer: unknown = through(Object.fromEntries(entries));
              return typeof answer === "object" && answer !== null
                ? new Map(Object.entries(answer))
                : (answer as Map<string, string | null>);
            },
            put: (key, value, options) => kv.put(key, value, options),
            delete: (key) => kv.delete(key),
          },
          { acceptDoubleSpends: true, clock, timeoutMs },
        );
      return {
        consistency: "approximate",
        spend: (quotas) => open().spend(quotas),
        refund: (quotas, at) => open().refund(quotas, at),
        block: (key, expiresAt) => open().block(key, expiresAt),
      };
    }),
  );
  it("durableObjectStore: what is used up, revoked or full is never admitted", TEST, () =>
    expectNoAdmissionByWrongShape(({ through }) =>
      durableObjectStore(
        {
          idFromName: (name) => name,
          get: (name) => ({
            async fetch(url, { body }) {
              const headers = { "x-name": String(name), "x-url": url };
              const answer = await objects.fetch("/", { method: "POST", headers, body });
              return Response.json(through(await answer.json()));
            },
          }),
        },
        { timeoutMs },
      ),
    ),
  );
});
