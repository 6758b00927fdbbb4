import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { createClient, MultiErrorReply } from "redis";

/**
 * What goes wrong with the next requests:
 *
 * - `answer`: this status, body and headers; nothing reaches Redis. `"SERIAL"` becomes the last argument of the command, the number of the call
 * - `hang`: no answer, and nothing reaches Redis
 * - `stall`: the head of an answer and the beginning of its body, and nothing more
 * - `flood`: a body without end
 * - `reset`: the connection is cut
 * - `lost`: Redis does what it is told, and the connection is cut instead of an answer
 */
export type UpstashFault =
  | { kind: "answer"; status: number; body: string; headers?: Record<string, string> }
  | { kind: "hang" | "stall" | "flood" | "reset" | "lost" };

/** A REST front of a real Redis, as Upstash has it. */
export interface UpstashServer {
  url: string;
  token: string;
  /** Set: every request meets it. */
  fault: UpstashFault | undefined;
  /** What came in: method, path, headers, body. */
  readonly requests: { method: string; path: string; headers: IncomingMessage["headers"]; body: string }[];
  /** Bytes of the endless body that were taken. */
  readonly flooded: number;
  close(): Promise<void>;
}

const TOKEN = "AX-test_token.which-is-secret==";

/**
 * `POST /` with a JSON command, `/pipeline` and `/multi-exec` with a list of them; `{ result }` or `{ error }`; 400 for a command that fails, 401 for
 * a wrong token; with the header `Upstash-Encoding: base64` every text of an answer in base64.
 */
export async function startUpstash(redisUrl: string): Promise<UpstashServer> {
  const client = createClient({ url: redisUrl, disableOfflineQueue: true });
  client.on("error", () => undefined);
  await client.connect();
  let flooded = 0;
  const state: Pick<UpstashServer, "fault" | "requests"> = { fault: undefined, requests: [] };

  async function run(command: unknown): Promise<Answer> {
    if (!Array.isArray(command) || command.length === 0) return { error: "ERR failed to parse command" };
    try {
      return { result: await client.sendCommand(command.map(asArgument)) };
    } catch (error) {
      return { error: error instanceof Error ? error.message : String(error) };
    }
  }

  async function transaction(commands: unknown[]): Promise<Answer[]> {
    const multi = client.multi();
    for (const command of commands) multi.addCommand(Array.isArray(command) ? command.map(asArgument) : []);
    const results: unknown[] = await multi
      .exec()
      .catch((error: unknown) => (error instanceof MultiErrorReply ? error.replies : commands.map(() => error)));
    return results.map((result) => (result instanceof Error ? { error: result.message } : { result }));
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [method = "", path = ""] = [request.method, request.url];
    const body = await text(request);
    state.requests.push({ method, path, headers: request.headers, body });
    const { fault } = state;
    if (fault && fault.kind !== "lost") return meet(withSerial(fault, body), request, response);
    const send = (status: number, value: unknown): void => {
      if (fault?.kind === "lost") request.socket.destroy();
      else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return send(401, { error: "WRONGPASS invalid or missing auth token" });
    if (method !== "POST") return send(405, { error: "ERR method not allowed" });
    const encode = request.headers["upstash-encoding"] === "base64" ? encoded : (one: Answer) => one;
    const command = parse(body);
    if (path === "/") {
      const told = await run(command);
      return send("error" in told ? 400 : 200, encode(told));
    }
    if (!Array.isArray(command)) return send(400, { error: "ERR failed to parse pipeline" });
    if (path === "/pipeline") return send(200, (await Promise.all(command.map(run))).map(encode));
    if (path === "/multi-exec") return send(200, (await transaction(command)).map(encode));
    send(404, { error: "ERR unknown path" });
  }

  function meet(fault: UpstashFault, request: IncomingMessage, response: ServerResponse): void {
    if (fault.kind === "answer") response.writeHead(fault.status, fault.headers).end(fault.body);
    else if (fault.kind === "reset") request.socket.resetAndDestroy();
    else if (fault.kind === "stall") response.writeHead(200, { "content-type": "application/json" }).write('{"result":');
    else if (fault.kind === "flood") {
      const chunk = " ".repeat(65_536);
      const more = (): void => {
        while (!response.destroyed) {
          flooded += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", more);
        }
      };
      response.writeHead(200, { "content-type": "application/json" });
      more();
    }
  }

  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot serve: no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    token: TOKEN,
    requests: state.requests,
    get fault() {
      return state.fault;
    },
    set fault(fault) {
      state.fault = fault;
    },
    get flooded() {
      return flooded;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      client.destroy();
    },
  };
}

function withSerial(fault: Exclude<UpstashFault, { kind: "lost" }>, body: string): typeof fault {
  const command = parse(body);
  if (fault.kind !== "answer" || !Array.isArray(command)) return fault;
  return { ...fault, body: fault.body.replaceAll('"SERIAL"', String(command.flat().at(-1))) };
}

type Answer = { result: unknown } | { error: string };

function encoded(told: Answer): Answer {
  return "error" in told ? told : { result: inBase64(told.result) };
}

function inBase64(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inBase64);
  return typeof value === "string" && value !== "OK" ? Buffer.from(value).toString("base64") : value;
}

/** Numbers and booleans are texts to Redis; nothing else is an argument. */
function asArgument(value: unknown): string {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
  throw new Error("ERR unsupported arg type");
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}
