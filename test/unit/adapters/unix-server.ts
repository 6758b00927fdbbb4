// Serves on a Unix socket with what the runtime itself has, asks once, and prints what it learned: run by Bun and Deno.
import { createServer, request } from "node:http";
import { toNode } from "../../../adapters/node.ts";
import { clientAddress, detectPlatform } from "../../../src/http/index.ts";

interface Served {
  stop?(): unknown;
  shutdown?(): unknown;
}
/** The part of the two runtimes that is used. */
declare const Bun: { serve(options: object): Served } | undefined;
declare const Deno: { serve(options: object, handler: unknown): Served } | undefined;

const [path = ""] = process.argv.slice(2);
const answer = async (incoming: Request, second?: unknown): Promise<Response> => {
  const { kind, peer } = detectPlatform(incoming, second);
  const { address } = clientAddress({ trustedProxies: ["unix:"] })(incoming, detectPlatform(incoming, second));
  return Response.json({ kind, peer, address });
};
const ask = (socketPath: string): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const headers = { host: "game.example", "x-forwarded-for": "192.0.2.99, 203.0.113.7" };
    const outgoing = request({ socketPath, path: "/", headers }, (incoming) => {
      let text = "";
      incoming.on("data", (chunk) => {
        text += chunk;
      });
      incoming.on("end", () => resolve(JSON.parse(text)));
    });
    outgoing.on("error", reject);
    outgoing.end();
  });

const served =
  typeof Bun === "object"
    ? Bun.serve({ unix: path, fetch: answer })
    : typeof Deno === "object"
      ? Deno.serve({ path, onListen: () => undefined }, answer)
      : undefined;
const native = served && (await ask(path));
const server = createServer(toNode(answer));
await new Promise<void>((resolve) => server.listen(`${path}.node`, resolve));
console.log(JSON.stringify({ native, node: await ask(`${path}.node`) }));
process.exit(0);
