import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { describe } from "vitest";

/** Folder of PostgreSQL's own programs (initdb, postgres), or undefined where none is installed. */
export function postgresFolder(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => `${root}/${version}/bin`).find((folder) => existsSync(`${folder}/initdb`));
}

/** Whether redis-server is installed. */
export function hasRedis(): boolean {
  return spawnSync("redis-server", ["--version"]).status === 0;
}

/** `describe` where the backend is there; without it a loud skip, and in CI a failure, so that nothing is left out in silence. */
export function describeWith(backend: string, available: boolean): typeof describe | typeof describe.skip {
  if (available) return describe;
  if (process.env["CI"]) throw new Error(`Cannot test on ${backend}: it is not installed`);
  console.error(`!!! SKIPPED: ${backend} is not installed !!!`);
  return describe.skip;
}

/** A port on loopback that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address ? resolve(address.port) : reject(new Error("No port"))));
    });
  });
}
