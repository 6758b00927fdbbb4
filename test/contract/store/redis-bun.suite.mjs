// Runs the published suites under Bun, on its own Redis client, and prints `{ passed, failures }` as JSON. Argument: the servers, as JSON.
import { RedisClient } from "bun";
import { runRedisSuites } from "../../helpers/redis-suite.ts";

const open = async (port, options) => {
  const client = new RedisClient(`redis://127.0.0.1:${port}`, options);
  await client.connect();
  return { client, keys: (pattern) => client.send("KEYS", [pattern]), end: () => client.close() };
};
const clients = {
  "Bun.RedisClient": (port) => open(port),
  "Bun.RedisClient, a command at a time": (port) => open(port, { enableAutoPipelining: false }),
};
const report = await runRedisSuites(clients, JSON.parse(process.argv[2]));
console.log(JSON.stringify(report));
process.exit();
