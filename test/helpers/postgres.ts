import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { PGlite } from "@electric-sql/pglite";
import pg from "pg";
import { freePort, postgresFolder } from "./backends.ts";

/** Options of {@link startPostgres}. */
export interface PostgresOptions {
  /** Settings of postgresql.conf over those of the helper, e.g. `{ fsync: "on" }`. */
  settings?: Record<string, string>;
  /** What everybody must give as password; without it nobody is asked. */
  password?: string;
}

/** A PostgreSQL server of a test's own, on loopback, with its data in a temporary folder. */
export interface PostgresServer {
  readonly port: number;
  /** Of the database that {@link database} made first, or `postgres`. */
  readonly url: string;
  /** Makes a database and tells its URL. */
  database(name: string): Promise<string>;
  /** Runs statements as superuser in the database `postgres`. */
  run(sql: string): Promise<Record<string, unknown>[]>;
  /** Stops every process of the server where it is (SIGSTOP): connections stay, nobody answers. */
  pause(): void;
  /** Lets them go on. */
  resume(): void;
  /** Ends the server: in order with `SIGINT` (connections are cut), as in a crash with `SIGQUIT`. */
  stop(signal?: "SIGINT" | "SIGQUIT"): Promise<void>;
  /** Starts it again, on the same port with the same data. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  close(): Promise<void>;
}

const USER = "gatepass";

/** Starts a PostgreSQL: the distribution's programs, a fresh cluster. Durable to a crash of the server, not to a power cut: a test does not wait for the disk. */
export async function startPostgres({ settings = {}, password }: PostgresOptions = {}): Promise<PostgresServer> {
  const programs = postgresFolder();
  if (programs === undefined) throw new Error("Cannot start PostgreSQL: it is not installed");
  // PostgreSQL refuses to run as root: the distribution's user does it, who must be able to walk to the folder.
  const root = process.getuid?.() === 0;
  const folder = mkdtempSync(join(root ? "/tmp" : tmpdir(), "gatepass-postgres-"));
  if (root) chownSync(folder, idOf("-u"), idOf("-g"));
  // Whatever happens to the test's process, the server goes with it.
  const become = ["--pdeathsig", "QUIT", ...(root ? ["--reuid", "postgres", "--regid", "postgres", "--init-groups"] : []), "--"];
  const data = join(folder, "data");
  const made = spawnSync(
    "setpriv",
    [...become, `${programs}/initdb`, "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
    { cwd: "/", encoding: "utf8" },
  );
  if (made.status !== 0) throw new Error(`Cannot make a PostgreSQL cluster: ${made.stderr}`);
  const port = await freePort();
  const all = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    fsync: "off",
    full_page_writes: "off",
    shared_buffers: "64MB",
    max_connections: "120",
    password_encryption: "scram-sha-256",
    ...settings,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name} = '${value}'`);
  appendFileSync(join(data, "postgresql.conf"), `${lines.join("\n")}\n`);

  let server: ChildProcess | undefined;
  let log = "";
  const url = (database: string): string =>
    `postgres://${USER}${password === undefined ? "" : `:${encodeURIComponent(password)}`}@127.0.0.1:${port}/${database}`;
  let main = url("postgres");

  async function start(): Promise<void> {
    const child = spawn("setpriv", [...become, `${programs}/postgres`, "-D", data], { cwd: "/", stdio: ["ignore", "ignore", "pipe"] });
    server = child;
    log = "";
    child.stderr?.on("data", (chunk) => {
      log = `${log}${String(chunk)}`.slice(-8000);
    });
    for (let tries = 0; ; tries++) {
      if (child.exitCode !== null || child.signalCode !== null || tries > 600) throw new Error(`Cannot start PostgreSQL: ${log}`);
      if ((await listens(port)) && (await answers(url("postgres")))) return;
      await sleep(50);
    }
  }

  async function run(sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: url("postgres") });
    client.on("error", () => undefined);
    await client.connect();
    try {
      return (await client.query(sql)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  function signal(name: "SIGSTOP" | "SIGCONT"): void {
    const main = server?.pid;
    if (main === undefined) return;
    // The main process first: then it makes no further ones.
    process.kill(main, name);
    for (const pid of readFileSync(`/proc/${main}/task/${main}/children`, "utf8").split(" ").filter(Boolean)) {
      try {
        process.kill(Number(pid), name);
      } catch (error) {
        // It ended since the list was read, as processes of connections do.
        if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
      }
    }
  }

  async function stop(how: "SIGINT" | "SIGQUIT" = "SIGINT"): Promise<void> {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(how);
    await gone;
  }

  await start();
  if (password !== undefined) {
    await run(`ALTER USER ${USER} PASSWORD '${password.replaceAll("'", "''")}'`);
    const rule = `host all all 127.0.0.1/32 scram-sha-256\n`;
    const file = join(data, "pg_hba.conf");
    rmSync(file);
    appendFileSync(file, rule);
    if (root) chownSync(file, idOf("-u"), idOf("-g"));
    await stop();
    await start();
  }
  return {
    port,
    get url() {
      return main;
    },
    async database(name) {
      await run(`CREATE DATABASE ${name}`);
      if (main === url("postgres")) main = url(name);
      return url(name);
    },
    run,
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    stop,
    start,
    async close() {
      if (server !== undefined) signal("SIGCONT");
      await stop("SIGQUIT");
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** PostgreSQL compiled to WebAssembly, in this process and in memory: one connection, no server. Takes a second or two. */
export async function embeddedPostgres(): Promise<PGlite> {
  return PGlite.create();
}

function idOf(flag: "-u" | "-g"): number {
  return Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/** Whether it is past its recovery; one that asks for a password is. */
async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && String(error.code).startsWith("28");
  } finally {
    await client.end().catch(() => undefined);
  }
}
