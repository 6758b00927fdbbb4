/** Where the demo listens and keeps what it keeps, and the line that says so. */
import type { DemoEnv } from "./gate.ts";

/** From the environment. */
export interface Place {
  host: string;
  port: number;
  /** Path of the SQLite file. */
  database: string;
  /** Path of the file of Deno KV. */
  kv: string;
  /** Where Redis is, if it is to be used. */
  redis: URL | undefined;
}

/**
 * `HOST` (default loopback), `PORT` (8787), `DEMO_DB` (`.data/ember-ring.sqlite`), `DEMO_KV` (`.data/ember-ring.kv`), `STORE` (none); empty is not set.
 *
 * @throws {RangeError} `PORT` is no port @throws {TypeError} `STORE` is no address of a Redis
 */
export function place(env: DemoEnv): Place {
  const port = Number(env["PORT"] || 8787);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError('Cannot read "PORT": expected an integer from 0 to 65535');
  return {
    host: String(env["HOST"] || "127.0.0.1"),
    port,
    database: String(env["DEMO_DB"] || ".data/ember-ring.sqlite"),
    kv: String(env["DEMO_KV"] || ".data/ember-ring.kv"),
    redis: redisAt(String(env["STORE"] || "")),
  };
}

/** One line, once it can be played. */
export function listening(mode: string, host: string, port: number): void {
  const name = host === "127.0.0.1" || host === "0.0.0.0" ? "localhost" : host;
  console.log(`Ember Ring (${mode}) is at http://${name}:${port}/`);
}

/** The value itself is never repeated: it may hold a password. */
function redisAt(text: string): URL | undefined {
  if (text === "") return undefined;
  if (URL.canParse(text)) {
    const url = new URL(text);
    if ((url.protocol === "redis:" || url.protocol === "rediss:") && url.host !== "") return url;
  }
  throw new TypeError('Cannot read "STORE": expected redis://host:port or rediss://host:port, or nothing for a SQLite file');
}
