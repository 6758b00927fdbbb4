import { connect, createServer, type Socket } from "node:net";

/**
 * What becomes of the scripts that pass:
 *
 * - `answer`: to each of them, and the server does not hear of them. `SERIAL` becomes the last argument, the number of the call
 * - `lost`: the server does what it is told, and the connection is cut instead of an answer
 */
export type RedisFault = { answer: string } | "lost";

/** Stands between a client and a Redis, on a port of its own. */
export interface RedisProxy {
  readonly port: number;
  fault: RedisFault | undefined;
  /** Scripts that met a fault. */
  readonly met: number;
  /** Cuts every connection (RST). */
  cut(): void;
  close(): Promise<void>;
}

/** Starts one before the server on `target`. Whatever is no script passes, so that a client believes that it is connected. */
export async function startProxy(target: number): Promise<RedisProxy> {
  let fault: RedisFault | undefined;
  let met = 0;
  const sockets = new Set<Socket>();
  const cutBoth = (a: Socket, b: Socket): void => {
    for (const socket of [a, b]) socket.resetAndDestroy();
  };

  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    let losing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        cutBoth(client, upstream);
      });
    }
    let unread = "";
    client.on("data", (chunk) => {
      unread += chunk.toString("latin1");
      for (let command = first(unread); command !== undefined; command = first(unread)) {
        const raw = unread.slice(0, command.length);
        unread = unread.slice(command.length);
        const isScript = /^eval(sha)?$/i.test(command.parts[0] ?? "");
        if (isScript && fault !== undefined) met += 1;
        if (isScript && typeof fault === "object") client.write(fault.answer.replaceAll("SERIAL", command.parts.at(-1) ?? ""), "latin1");
        else upstream.write(raw, "latin1");
        losing ||= isScript && fault === "lost";
      }
    });
    upstream.on("data", (chunk) => {
      if (losing) cutBoth(client, upstream);
      else client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot serve: no port");
  const cut = (): void => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    port: address.port,
    get fault() {
      return fault;
    },
    set fault(next) {
      fault = next;
    },
    get met() {
      return met;
    },
    cut,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      cut();
      await closed;
    },
  };
}

/** The first whole command of what a client has sent, and how long it is. */
function first(text: string): { parts: string[]; length: number } | undefined {
  const [head, count = "0"] = /^\*(\d+)\r\n/.exec(text) ?? [];
  if (head === undefined) return undefined;
  const parts: string[] = [];
  let at = head.length;
  for (let i = 0; i < Number(count); i++) {
    const end = text.indexOf("\r\n", at);
    const size = Number(text.slice(at + 1, end));
    if (end < 0 || text.length < end + size + 4) return undefined;
    parts.push(text.slice(end + 2, end + 2 + size));
    at = end + size + 4;
  }
  return { parts, length: at };
}
