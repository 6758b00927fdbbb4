/**
 * A client in the shape of deno-redis (its registry is not npm): `sendCommand(command, args)`, errors whose message begins as on the wire (`-NOSCRIPT …`),
 * texts, integers, nulls and arrays as answers. Over `Deno.connect`; commands are written as they come and answered in their order.
 */

/** What is used of Deno, whose types are not loaded here. */
interface Connection {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}
declare const Deno: { connect(options: { hostname: string; port: number }): Promise<Connection> };

type RedisValue = string | number | Uint8Array;
type RedisReply = string | number | null | Uint8Array | RedisReply[];

export class ErrorReplyError extends Error {}

/** The part of `Redis` of deno-redis that is used. */
export interface Redis {
  readonly isClosed: boolean;
  readonly isConnected: boolean;
  sendCommand(command: string, args?: RedisValue[], options?: { returnUint8Arrays?: boolean }): Promise<RedisReply>;
  close(): void;
}

export async function connect(options: { hostname: string; port: number }): Promise<Redis> {
  const connection = await Deno.connect(options);
  const waiting: { resolve(reply: RedisReply): void; reject(error: Error): void }[] = [];
  let writing: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  function end(error: Error): void {
    if (!isClosed) connection.close();
    isClosed = true;
    for (const one of waiting.splice(0)) one.reject(error);
  }

  async function readReplies(): Promise<void> {
    const reader = createReader(connection);
    for (;;) {
      const reply = await readReply(reader);
      const one = waiting.shift();
      if (reply instanceof ErrorReplyError) one?.reject(reply);
      else one?.resolve(reply);
    }
  }

  readReplies().catch((error: unknown) => end(error instanceof Error ? error : new Error(String(error))));
  return {
    get isClosed() {
      return isClosed;
    },
    get isConnected() {
      return !isClosed;
    },
    sendCommand(command, args = []) {
      return new Promise((resolve, reject) => {
        if (isClosed) return reject(new Error("The connection is closed"));
        waiting.push({ resolve, reject });
        const bytes = encode([command, ...args]);
        writing = writing.then(() => writeAll(connection, bytes)).catch(end);
      });
    },
    close: () => end(new Error("The connection is closed")),
  };
}

function encode(parts: readonly RedisValue[]): Uint8Array {
  const encoder = new TextEncoder();
  const pieces = parts.flatMap((part) => {
    const bytes = part instanceof Uint8Array ? part : encoder.encode(String(part));
    return [encoder.encode(`$${bytes.length}\r\n`), bytes, encoder.encode("\r\n")];
  });
  return join([encoder.encode(`*${parts.length}\r\n`), ...pieces]);
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((size, piece) => size + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

async function writeAll(connection: Connection, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += await connection.write(bytes.subarray(done));
}

interface Reader {
  line(): Promise<string>;
  bytes(size: number): Promise<Uint8Array>;
}

function createReader(connection: Connection): Reader {
  const decoder = new TextDecoder();
  let held = new Uint8Array(0);
  const more = async (): Promise<void> => {
    const buffer = new Uint8Array(65_536);
    const size = await connection.read(buffer);
    if (size === null) throw new Error("The connection has ended");
    held = new Uint8Array(join([held, buffer.subarray(0, size)]));
  };
  const take = (size: number): Uint8Array => {
    const taken = held.subarray(0, size);
    held = held.slice(size);
    return taken;
  };
  return {
    async line() {
      let end = held.indexOf(13);
      while (end < 0 || end + 1 >= held.length) {
        await more();
        end = held.indexOf(13);
      }
      return decoder.decode(take(end + 2).subarray(0, end));
    },
    async bytes(size) {
      while (held.length < size) await more();
      return take(size);
    },
  };
}

async function readReply(reader: Reader): Promise<RedisReply | ErrorReplyError> {
  const line = await reader.line();
  const rest = line.slice(1);
  const size = Number(rest);
  switch (line[0]) {
    case "-":
      return new ErrorReplyError(line);
    case "+":
      return rest;
    case ":":
      return size;
    case "$":
      return size < 0 ? null : new TextDecoder().decode((await reader.bytes(size + 2)).subarray(0, size));
    case "*": {
      if (size < 0) return null;
      const all: RedisReply[] = [];
      for (let i = 0; i < size; i++) {
        const one = await readReply(reader);
        if (one instanceof ErrorReplyError) throw one;
        all.push(one);
      }
      return all;
    }
    default:
      throw new Error(`Cannot read a reply that begins with ${JSON.stringify(line[0])}`);
  }
}
