/** Bytes of a body that a condition may read. */
const MAX_BODY = 65_536;
/** Milliseconds that a condition may take. */
const TIMEOUT = 10_000;

/**
 * Asks a condition about a request. The request's body can still be read afterwards.
 *
 * @throws what the condition throws @throws {RangeError} it took too long, or asked for too much of the body
 */
export async function askCondition(condition: (request: Request) => boolean | Promise<boolean>, request: Request): Promise<boolean> {
  return (await borrow(request, condition)) === true;
}

/**
 * Runs `work` with a copy of a request. The request's own body can still be read afterwards.
 *
 * The copy may read at most 64 KiB in 10 s, and its reader is cancelled when the work is done. A cloned body keeps in
 * memory what one reader has read and the other has not. Without a bound an attacker's endless body would fill the
 * memory.
 *
 * @throws what `work` throws
 * @throws {RangeError} it took longer than 10 s, or read more than 64 KiB (from `work`'s read)
 */
export async function borrow<T>(request: Request, work: (copy: Request) => T | Promise<T>): Promise<T> {
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let over = false;
  // Clone at the first read: a clone that is never read would keep the whole body in memory. Do not clone after the
  // end: nothing would cancel that clone.
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

/** A copy of a request. Its body comes from `open`, up to `MAX_BODY`. */
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
