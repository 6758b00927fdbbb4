import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "redis";
import { freePort } from "./backends.ts";

/** How to start a server; see redis.conf for `config`. */
export interface RedisConfig {
  /** Default: none is asked for. */
  password?: string;
  /** As redis writes it, e.g. `8mb`; what happens then is `maxmemory-policy`, default noeviction. */
  maxmemory?: string;
  /** Further directives, over ours: nothing is persisted unless they say so (`{ appendonly: "yes", appendfsync: "always" }`, `{ save: "1 1" }`). */
  config?: Record<string, string>;
}

/** A real redis-server on loopback, with a folder and a port that it keeps through restarts. */
export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port`, with the password if there is one. */
  readonly url: string;
  /** Of the running process. */
  readonly pid: number;
  readonly folder: string;
  /** Sends one command over a connection that nobody else has. */
  command(...args: string[]): Promise<unknown>;
  /** A section of INFO. */
  info(section: string): Promise<Record<string, string>>;
  /** All keys, by SCAN, sorted. */
  keys(): Promise<string[]>;
  /** SIGTERM: it saves what it is configured to save, and ends. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again after `stop` or `kill`, on its data. */
  start(): Promise<void>;
  /** SIGSTOP: connections stay open, nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it for good and removes its folder. */
  dispose(): Promise<void>;
}

const reapers = new Set<() => void>();

/** No server outlives the tests. */
function reapAll(): void {
  for (const reap of reapers) reap();
}

/** Starts redis-server and waits until it answers. */
export async function startRedis(options: RedisConfig = {}): Promise<RedisServer> {
  const { password, maxmemory } = options;
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "gatepass-redis-"));
  const config: Record<string, string> = {
    port: String(port),
    bind: "127.0.0.1",
    dir: folder,
    save: "",
    appendonly: "no",
    daemonize: "no",
    "repl-diskless-sync-delay": "0",
    ...(password === undefined ? {} : { requirepass: password, masterauth: password }),
    ...(maxmemory === undefined ? {} : { maxmemory }),
    ...options.config,
  };
  const url = `redis://${password === undefined ? "" : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`;
  let child: ChildProcess | undefined;
  const reap = (): void => void child?.kill("SIGKILL");
  if (reapers.size === 0) process.on("exit", reapAll);
  reapers.add(reap);

  let admin: ReturnType<typeof connect> | undefined;
  async function command(...args: string[]): Promise<unknown> {
    admin ??= connect(url, () => {
      admin = undefined;
    });
    return (await admin).sendCommand(args);
  }

  async function start(): Promise<void> {
    const started = spawn("redis-server", ["-", ...Object.entries(config).flatMap(([name, value]) => [`--${name}`, value])], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    started.stdin?.end();
    let output = "";
    started.stdout?.on("data", (chunk) => {
      output = `${output}${String(chunk)}`.slice(-2000);
    });
    child = started;
    await until("redis-server answers", async () => {
      if (started.exitCode !== null) throw new Error(`Cannot start redis-server: ${output}`);
      // "LOADING" is an error, too.
      return (await command("PING").catch(() => undefined)) === "PONG";
    });
  }

  async function end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const ending = child;
    child = undefined;
    await admin?.then(
      (client) => client.destroy(),
      () => undefined,
    );
    admin = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const gone = new Promise((resolve) => ending.once("exit", resolve));
    ending.kill("SIGCONT");
    ending.kill(signal);
    await gone;
  }

  await start();
  return {
    port,
    url,
    folder,
    get pid() {
      if (child?.pid === undefined) throw new Error("redis-server is not running");
      return child.pid;
    },
    command,
    async info(section) {
      const lines = String(await command("INFO", section)).split("\r\n");
      return Object.fromEntries(
        lines.filter((line) => /^\w+:/.test(line)).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
      );
    },
    async keys() {
      const found = new Set<string>();
      let cursor = "0";
      do {
        const answer = await command("SCAN", cursor, "COUNT", "1000");
        if (!Array.isArray(answer) || !Array.isArray(answer[1])) throw new Error("Cannot scan");
        cursor = String(answer[0]);
        for (const key of answer[1]) found.add(String(key));
      } while (cursor !== "0");
      return [...found].sort();
    },
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    start,
    pause: () => void child?.kill("SIGSTOP"),
    resume: () => void child?.kill("SIGCONT"),
    async dispose() {
      reapers.delete(reap);
      if (reapers.size === 0) process.off("exit", reapAll);
      await end("SIGKILL");
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A connection that is told to have ended when it has. */
async function connect(url: string, ended: () => void) {
  const client = createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 5000 } });
  client.on("error", ended);
  try {
    await client.connect();
  } catch (error) {
    ended();
    throw error;
  }
  return client;
}

/** Three masters and three replicas. */
export interface RedisCluster {
  /** The three first masters, then a replica of each in the same order; roles change at a failover. */
  readonly nodes: readonly RedisServer[];
  /** `[{ host, port }]` of all, as drivers want them. */
  readonly addresses: readonly { host: string; port: number }[];
  /** The servers that are masters now. */
  masters(): Promise<RedisServer[]>;
  /** Waits until every node that runs sees all slots served, and every replica follows its master. */
  settled(): Promise<void>;
  /** All keys of all masters, sorted. */
  keys(): Promise<string[]>;
  /** Runs FLUSHALL on every master. */
  flush(): Promise<void>;
  dispose(): Promise<void>;
}

/** Starts a cluster that notices a dead master after one and a half seconds. */
export async function startCluster(options: RedisConfig = {}): Promise<RedisCluster> {
  const buses = await Promise.all(Array.from({ length: 6 }, async () => String(await freePort())));
  const nodes = await Promise.all(
    buses.map((bus) =>
      startRedis({
        ...options,
        config: {
          "cluster-enabled": "yes",
          "cluster-port": bus,
          "cluster-node-timeout": "1500",
          "cluster-replica-validity-factor": "0",
          ...options.config,
        },
      }),
    ),
  );
  const running = (): RedisServer[] => nodes.filter(isRunning);
  const dispose = async (): Promise<void> => void (await Promise.all(nodes.map((node) => node.dispose())));

  async function settled(): Promise<void> {
    await until("the cluster has settled", async () => {
      const states = await Promise.all(
        running().map(async (node) => {
          const [cluster, replication] = [String(await node.command("CLUSTER", "INFO")), await node.info("replication")];
          const linked = replication["role"] === "master" || replication["master_link_status"] === "up";
          return cluster.includes("cluster_state:ok") && cluster.includes("cluster_known_nodes:6") && linked;
        }),
      ).catch(() => [false]);
      return states.every(Boolean);
    });
  }

  async function masters(): Promise<RedisServer[]> {
    const roles = await Promise.all(running().map(async (node) => ({ node, role: (await node.info("replication"))["role"] })));
    return roles.filter(({ role }) => role === "master").map(({ node }) => node);
  }

  try {
    const [port = "", bus = ""] = [nodes[0]?.port.toString(), buses[0]];
    await Promise.all(
      nodes.map(async (node, i) => {
        await node.command("CLUSTER", "SET-CONFIG-EPOCH", String(i + 1));
        if (i < 3) {
          await node.command("CLUSTER", "ADDSLOTSRANGE", String(Math.ceil((i * 16384) / 3)), String(Math.ceil(((i + 1) * 16384) / 3) - 1));
        }
        if (i > 0) await node.command("CLUSTER", "MEET", "127.0.0.1", port, bus);
      }),
    );
    await settled();
    const ids = await Promise.all(nodes.map((node) => node.command("CLUSTER", "MYID").then(String)));
    await Promise.all(
      nodes
        .slice(3)
        .map((node, i) =>
          until(
            "the replica knows its master",
            async () => (await node.command("CLUSTER", "REPLICATE", ids[i] ?? "").catch(() => "")) === "OK",
          ),
        ),
    );
    await settled();
    // A client asks any node for the replicas: all must have heard of them.
    await until("replicas are known", async () => {
      const views = await Promise.all(nodes.map((node) => node.command("CLUSTER", "NODES").then(String)));
      return views.every((view) => view.match(/ slave |,slave /g)?.length === 3);
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    nodes,
    addresses: nodes.map(({ port }) => ({ host: "127.0.0.1", port })),
    masters,
    settled,
    keys: async () => (await Promise.all((await masters()).map((node) => node.keys()))).flat().sort(),
    async flush() {
      for (const node of await masters()) await node.command("FLUSHALL");
    },
    dispose,
  };
}

/** Waits until `check` is true, at most 20 seconds. */
export async function until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`Waited too long until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function isRunning(node: RedisServer): boolean {
  try {
    return node.pid > 0;
  } catch {
    return false;
  }
}

/** The keys of the contract that a store with this prefix has in Redis. */
export async function keysUnder(backend: { keys(): Promise<string[]> }, prefix: string): Promise<string[]> {
  const keys = (await backend.keys()).filter((key) => key.startsWith(`${prefix}{`));
  return keys.map((key) => key.slice(prefix.length + 1).replace("}", ""));
}
