/** Commands in one write. */
const TOGETHER = 16;

/**
 * Called before each command: what is sent in the same moment leaves in few writes. ioredis writes every command by itself, and each write is a system
 * call here and another one in the server: of a spend, that is a third of what it costs either of them. Not all of it in one write, though: the server
 * answers what it read at once all together, so that it would rest while we read the answers, and we while it works.
 *
 * @param client one with a Node.js stream in `stream`; any other is used as it is
 */
export function gathering(client: object): () => void {
  let corked: { uncork(): void } | undefined;
  let gathered = 0;
  const release = (): void => {
    corked?.uncork();
    corked = undefined;
    gathered = 0;
  };
  return () => {
    if (gathered === TOGETHER) release();
    gathered += 1;
    const stream: unknown = Reflect.get(client, "stream");
    if (corked || !isWritable(stream)) return;
    corked = stream;
    stream.cork();
    queueMicrotask(release);
  };
}

function isWritable(stream: unknown): stream is { cork(): void; uncork(): void } {
  if (typeof stream !== "object" || stream === null) return false;
  return ["cork", "uncork"].every((name) => typeof Reflect.get(stream, name) === "function");
}
