import { gathering } from "./_redis-gathering.ts";
import { createEvaluate, type Evaluate, type ScriptRunner } from "./_redis-script.ts";

/** The part of a client of `redis` (node-redis) that is used: `createClient`, `createClientPool`. */
export interface NodeRedisClient {
  readonly isOpen: boolean;
  sendCommand(args: string[]): Promise<unknown>;
}

/** The part of a cluster of `redis` (node-redis) that is used: `createCluster`. */
export interface NodeRedisCluster {
  readonly isOpen: boolean;
  readonly masters: readonly object[];
  sendCommand(firstKey: string | undefined, isReadonly: boolean, args: string[]): Promise<unknown>;
}

/** The part of `ioredis` that is used: `Redis`, and `Cluster`. */
export interface IoRedisClient {
  readonly isCluster: boolean;
  call(command: string, args: string[]): Promise<unknown>;
}

/** The part of `Bun.RedisClient` that is used. Any other client can be wrapped in this shape. */
export interface BunRedisClient {
  send(command: string, args: string[]): Promise<unknown>;
}

/** The part of deno-redis that is used. */
export interface DenoRedisClient {
  readonly isConnected: boolean;
  sendCommand(command: string, args: string[]): Promise<unknown>;
}

/** A client of Redis or Valkey from one of these libraries. */
export type RedisClient = NodeRedisClient | NodeRedisCluster | IoRedisClient | BunRedisClient | DenoRedisClient;

/** Sends one command; in a cluster to the master that has `key`. */
export type Send = (command: string, args: string[], key?: string) => Promise<unknown>;

/** One interface for the five kinds of client. */
export interface RedisDriver {
  /** Whether keys live on several servers. */
  cluster: boolean;
  send: Send;
  /** A `Send` for each master. */
  masters(): Promise<Send[]>;
  /**
   * Opens a further connection, or a further set of them, with the same settings. Undefined where the client cannot.
   */
  duplicate: (() => Promise<OwnConnection>) | undefined;
}

/** Connections of the store's own, which no other code uses. */
export interface OwnConnection {
  /**
   * The connection to the server that has `slot`: the same function for the same connection. It does not follow
   * redirections.
   */
  to(slot: number): Promise<Send>;
  /** Makes the client find out which server has `key`. */
  locate(key: string): Promise<unknown>;
  close(): void;
}

/**
 * @throws {TypeError} none of the clients above, or one that cannot be told apart from another: a call in the wrong
 * form might do something else
 */
export function redisDriver(client: RedisClient): RedisDriver {
  if (!isObject(client)) throw unknownClient();
  const is = (name: string, type: string): boolean => typeof Reflect.get(client, name) === type;
  if (isIoRedis(client)) return ioRedisDriver(client);
  if (isDenoRedis(client)) return { ...single((command, args) => client.sendCommand(command, args)), duplicate: undefined };
  if (isNodeCluster(client)) return nodeClusterDriver(client);
  if (isNodeRedis(client)) return nodeRedisDriver(client);
  if (is("send", "function") && !is("sendCommand", "function") && !is("call", "function") && isBunRedis(client)) return bunDriver(client);
  throw unknownClient();
}

/**
 * The most commands without an answer. While Redis is down, drivers queue commands without a limit, and the process
 * would run out of memory.
 */
const MAX_UNANSWERED = 10_000;

/** Runs scripts over a driver, see {@link runnerOver}. */
export function evaluateOver(send: Send): Evaluate {
  return createEvaluate(runnerOver(send));
}

/**
 * The commands that run scripts, over a driver. Errors only keep the driver's message, without the part that quotes the
 * command: it contains keys, and keys contain addresses.
 */
export function runnerOver(send: Send): ScriptRunner {
  let unanswered = 0;
  async function run(command: string, script: string, keys: string[], args: string[]): Promise<unknown> {
    if (unanswered >= MAX_UNANSWERED) throw new Error("Redis leaves too many commands without an answer");
    unanswered += 1;
    try {
      return await send(command, [script, String(keys.length), ...keys, ...args], keys[0]);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(message.split(/,? with args beginning with/i)[0]);
    } finally {
      unanswered -= 1;
    }
  }
  return {
    evalsha: (hash, keys, args) => run("evalsha", hash, keys, args),
    eval: (script, keys, args) => run("eval", script, keys, args),
  };
}

interface NodeRedisOwn extends NodeRedisClient {
  duplicate(): NodeRedisOwn;
  connect(): Promise<unknown>;
  on(event: "error", listener: (error: unknown) => void): unknown;
  destroy(): void;
}

interface NodeClusterOwn extends NodeRedisCluster {
  readonly slots: readonly ({ readonly master: object } | undefined)[];
  nodeClient(node: object): Promise<NodeRedisClient>;
  duplicate(): NodeClusterOwn;
  connect(): Promise<unknown>;
  on(event: "error", listener: (error: unknown) => void): unknown;
  destroy(): void;
}

interface IoRedisOwn extends IoRedisClient {
  readonly options?: { readonly host?: string; readonly port?: number };
  readonly slots?: readonly (readonly string[] | undefined)[];
  nodes?(role: "master"): IoRedisOwn[];
  duplicate(): IoRedisOwn;
  on(event: "error", listener: (error: unknown) => void): unknown;
  disconnect(): void;
}

function single(send: Send): Omit<RedisDriver, "duplicate"> {
  return { cluster: false, send, masters: async () => [send] };
}

function alone(send: Send, close: () => void): OwnConnection {
  return { to: async () => send, locate: async () => undefined, close };
}

function nodeSend(client: NodeRedisClient): Send {
  return (command, args) => client.sendCommand([command, ...args]);
}

function nodeRedisDriver(client: NodeRedisClient): RedisDriver {
  if (!isNodeOwn(client)) return { ...single(nodeSend(client)), duplicate: undefined };
  return {
    ...single(nodeSend(client)),
    async duplicate() {
      const own = client.duplicate();
      // Calls reject with the error. Without a listener it would also end the process.
      own.on("error", () => undefined);
      await own.connect();
      return alone(nodeSend(own), () => own.destroy());
    },
  };
}

function nodeClusterDriver(client: NodeClusterOwn): RedisDriver {
  const sendOver =
    (cluster: NodeRedisCluster): Send =>
    (command, args, key) =>
      cluster.sendCommand(key, false, [command, ...args]);
  return {
    cluster: true,
    send: sendOver(client),
    masters: async () => Promise.all(client.masters.map(async (node) => nodeSend(await client.nodeClient(node)))),
    async duplicate() {
      const own = client.duplicate();
      own.on("error", () => undefined);
      await own.connect();
      const sends = perClient(nodeSend);
      return {
        async to(slot) {
          const node = own.slots[slot]?.master;
          if (node === undefined) throw new Error("No master is known for the slot");
          return sends(await own.nodeClient(node));
        },
        locate: (key) => sendOver(own)("exists", [key], key),
        close: () => own.destroy(),
      };
    },
  };
}

function ioRedisDriver(client: IoRedisOwn): RedisDriver {
  const sendOver = (redis: IoRedisClient): Send => {
    const gather = gathering(redis);
    return (command, args) => {
      gather();
      return redis.call(command, args);
    };
  };
  const nodes = (cluster: IoRedisOwn): IoRedisOwn[] => cluster.nodes?.("master") ?? [];
  return {
    cluster: client.isCluster,
    send: sendOver(client),
    async masters() {
      // A cluster client knows no masters before its first command. The answer does not matter: afterwards the client
      // is connected.
      if (client.isCluster) await client.call("ping", []).catch(() => undefined);
      return (client.isCluster ? nodes(client) : [client]).map(sendOver);
    },
    async duplicate() {
      const own = client.duplicate();
      own.on("error", () => undefined);
      if (!own.isCluster) return alone(sendOver(own), () => own.disconnect());
      const sends = perClient(sendOver);
      // Connects, if the client waits for its first command, and waits until the slots are known.
      await own.call("ping", []);
      return {
        async to(slot) {
          const address = own.slots?.[slot]?.[0];
          const node = nodes(own).find(({ options }) => `${options?.host}:${options?.port}` === address);
          if (node === undefined) throw new Error("No master is known for the slot");
          return sends(node);
        },
        locate: (key) => own.call("exists", [key]),
        close: () => own.disconnect(),
      };
    },
  };
}

function bunDriver(client: BunRedisClient): RedisDriver {
  const sendOver =
    (redis: BunRedisClient): Send =>
    (command, args) =>
      redis.send(command, args);
  if (!isBunOwn(client)) return { ...single(sendOver(client)), duplicate: undefined };
  return {
    ...single(sendOver(client)),
    async duplicate() {
      const own = await client.duplicate();
      return alone(sendOver(own), () => own.close());
    },
  };
}

interface BunRedisOwn extends BunRedisClient {
  duplicate(): Promise<BunRedisOwn>;
  close(): void;
}

/** Caches `make`: it gives the same function for the same client. */
function perClient<T extends object>(make: (client: T) => Send): (client: T) => Send {
  const made = new WeakMap<T, Send>();
  return (client) => {
    const known = made.get(client);
    if (known !== undefined) return known;
    const send = make(client);
    made.set(client, send);
    return send;
  };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function has(client: object, methods: readonly string[], flags: readonly string[] = []): boolean {
  return (
    methods.every((name) => typeof Reflect.get(client, name) === "function") &&
    flags.every((name) => typeof Reflect.get(client, name) === "boolean")
  );
}

function isIoRedis(client: object): client is IoRedisOwn {
  return has(client, ["call", "duplicate", "disconnect", "on"], ["isCluster"]);
}

function isDenoRedis(client: object): client is DenoRedisClient {
  return has(client, ["sendCommand"], ["isConnected", "isClosed"]);
}

function isNodeCluster(client: object): client is NodeClusterOwn {
  return (
    has(client, ["sendCommand", "nodeClient", "duplicate", "connect", "on", "destroy"], ["isOpen"]) &&
    Array.isArray(Reflect.get(client, "masters"))
  );
}

/** A sentinel's `sendCommand` takes its arguments in another order. */
function isNodeRedis(client: object): client is NodeRedisClient {
  return has(client, ["sendCommand", "connect", "on", "destroy"], ["isOpen"]) && !("getMasterNode" in client) && !("nodeClient" in client);
}

function isNodeOwn(client: object): client is NodeRedisOwn {
  return has(client, ["duplicate"], ["isReady"]);
}

function isBunRedis(client: object): client is BunRedisClient {
  return has(client, ["send"]);
}

function isBunOwn(client: object): client is BunRedisOwn {
  return has(client, ["duplicate", "close"], ["connected"]);
}

function unknownClient(): TypeError {
  return new TypeError(
    'Invalid "client": expected a client or cluster of redis or ioredis, a Bun.RedisClient, a client of deno-redis, or { send(command, args) }',
  );
}
