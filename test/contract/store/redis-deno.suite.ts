// Runs the published suites under Deno, on the clients that one finds there, and prints `{ passed, failures }` as JSON. Argument: the servers, as JSON.
import process from "node:process";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { runRedisSuites } from "../../helpers/redis-suite.ts";
import { connect } from "./redis-deno/client.ts";

const clients = {
  "the shape of deno-redis": async (port: number) => {
    const client = await connect({ hostname: "127.0.0.1", port });
    return { client, keys: (pattern: string) => client.sendCommand("KEYS", [pattern]), end: () => client.close() };
  },
  "npm:ioredis": async (port: number) => {
    const client = new Redis(port);
    return { client, keys: (pattern: string) => client.keys(pattern), end: () => client.disconnect() };
  },
  "npm:redis": async (port: number) => {
    const client = await createClient({ url: `redis://127.0.0.1:${port}` }).connect();
    return { client, keys: (pattern: string) => client.keys(pattern), end: () => client.destroy() };
  },
};
const report = await runRedisSuites(clients, JSON.parse(process.argv[2] ?? "[]"));
console.log(JSON.stringify(report));
process.exit();
