import { connect, createServer, type Socket } from "node:net";

/** A proxy of bytes in front of a server, which can lose answers. */
export interface LosingRelay {
  /** E.g. `http://localhost:23456`. */
  readonly url: string;
  readonly port: number;
  /** Request lines whose answers were lost. */
  readonly lost: string[];
  /**
   * Loses the answers to the next `times` requests that begin so, e.g. `POST /api/scores`: the server answers in full, and the client's connection ends
   * without a byte of it.
   */
  lose(start: string, times?: number): void;
  close(): void;
}

/** Starts it in front of a port of this machine, which speaks HTTP/1.1. */
export async function startLosingRelay(target: number): Promise<LosingRelay> {
  const open = new Set<Socket>();
  const losing: string[] = [];
  const lost: string[] = [];
  const server = createServer((client) => {
    const upstream = connect(target, "127.0.0.1");
    open.add(client).add(upstream);
    let drops = false;
    let answer = "";
    client.on("data", (chunk) => {
      const line = /^[^\r\n]*/.exec(chunk.toString("latin1"))?.[0] ?? "";
      const at = losing.findIndex((start) => line.startsWith(`${start} `));
      if (at >= 0) {
        losing.splice(at, 1);
        lost.push(line);
        drops = true;
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (!drops) return void client.write(chunk);
      answer += chunk.toString("latin1");
      if (isWhole(answer)) client.destroy();
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on("error", () => undefined);
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("Cannot relay: no port");
  return {
    url: `http://localhost:${address.port}`,
    port: address.port,
    lost,
    lose: (start, times = 1) => void losing.push(...Array<string>(times).fill(start)),
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** Whether an HTTP/1.1 answer has arrived in full. */
function isWhole(answer: string): boolean {
  const end = answer.indexOf("\r\n\r\n");
  if (end < 0) return false;
  const [head, body] = [answer.slice(0, end), answer.slice(end + 4)];
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length !== undefined) return body.length >= Number(length);
  return /^transfer-encoding: *chunked/im.test(head) ? body.endsWith("0\r\n\r\n") : true;
}
