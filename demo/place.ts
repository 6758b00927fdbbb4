/** Where the demo listens and keeps its file, and the line that says so. */
import type { DemoEnv } from "./gate.ts";

/** From the environment. */
export interface Place {
  host: string;
  port: number;
  /** Path of the SQLite file. */
  database: string;
}

/** `HOST` (default loopback), `PORT` (8787), `DEMO_DB` (`.data/ember-ring.sqlite`); empty is not set. @throws {RangeError} `PORT` is no port */
export function place(env: DemoEnv): Place {
  const port = Number(env["PORT"] || 8787);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new RangeError('Cannot read "PORT": expected an integer from 0 to 65535');
  return { host: String(env["HOST"] || "127.0.0.1"), port, database: String(env["DEMO_DB"] || ".data/ember-ring.sqlite") };
}

/** One line, once it can be played. */
export function listening(mode: string, host: string, port: number): void {
  const name = host === "127.0.0.1" || host === "0.0.0.0" ? "localhost" : host;
  console.log(`Ember Ring (${mode}) is at http://${name}:${port}/`);
}
