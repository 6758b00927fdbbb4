/** Bytes of a body that a condition may read. */
const MAX_BODY = 65_536;
/** Milliseconds for it. */
const TIMEOUT = 10_000;

/**
 * Asks a condition about a request whose body stays to be read.
 *
 * @throws what the condition throws @throws {RangeError} it took too long, or asked for too much of the body
 */
export async function askCondition(condition: (request: Request) => boolean | Promise<boolean>, request: Request): Promise<boolean> {
  return (await borrow(request, condition)) === true;
}

/**
 * Does `work` with a copy of a request whose body stays to be read. What the copy reads is bounded in bytes and in time, and is let go of when the work is
 * done: of a body that is read twice, all that one reader has and the other has not stays in memory, and a stranger's body has no end.
 *
 * @throws what `work` throws @throws {RangeError} it took longer than 10 s
 */
export async function borrow<T>(request: Request, work: (copy: Request) => T | Promise<T>): Promise<T> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let over = false;
  // Not before somebody reads: a copy that nobody reads would keep all of the body. Nor afterwards, when nobody would let go of it.
  const open = (): typeof reader => {
    reader ??= over ? undefined : request.clone().body?.getReader();
    return over ? undefined : reader;
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RangeError("Cannot wait any longer: the answer is too slow")), TIMEOUT);
  });
  try {
    return await Promise.race([work(request.body ? copyOf(request, open) : request.clone()), late]);
  } finally {
    over = true;
    clearTimeout(timer);
    reader?.cancel().catch(() => undefined);
  }
}

/** A copy of a request whose body is read from `open`, as far as it may be read. */
function copyOf(request: Request, open: () => ReadableStreamDefaultReader<Uint8Array> | undefined): Request {
  let size = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await open()?.read();
        if (!chunk) throw new RangeError("Cannot read the body: the time for it is over");
        if (chunk.done) return controller.close();
        size += chunk.value.byteLength;
        if (size > MAX_BODY) throw new RangeError("Cannot read the body: it is too long for a condition");
        controller.enqueue(chunk.value);
      },
    },
    { highWaterMark: 0 },
  );
  const init: ConstructorParameters<typeof Request>[1] & { duplex: "half" } = { body, duplex: "half" };
  return new Request(request, init);
}
