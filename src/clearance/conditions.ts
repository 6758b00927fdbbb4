/** Bytes of a body that a condition may read. */
const MAX_BODY = 65_536;
/** Milliseconds for it. */
const TIMEOUT = 10_000;

/**
 * Asks a condition about a request whose body stays to be read. What it reads is bounded, and let go of when it has answered: of a body that is read
 * twice, all that one reader has and the other has not stays in memory, and a stranger's body has no end.
 */
export async function askCondition(condition: (request: Request) => boolean | Promise<boolean>, request: Request): Promise<boolean> {
  if (!request.body) return (await condition(request.clone())) === true;
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let size = 0;
  const open = (): typeof reader => request.clone().body?.getReader();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        // Not before somebody reads: a copy that nobody reads would keep all of it.
        reader ??= open();
        const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
        if (done) return controller.close();
        size += value.byteLength;
        if (size > MAX_BODY) throw new RangeError("Cannot read the body: it is too long for a condition");
        controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new RangeError("Cannot read the body: it is too slow for a condition")), TIMEOUT);
  });
  try {
    const init: ConstructorParameters<typeof Request>[1] & { duplex: "half" } = { body, duplex: "half" };
    return (await Promise.race([condition(new Request(request, init)), late])) === true;
  } finally {
    clearTimeout(timer);
    reader?.cancel().catch(() => undefined);
  }
}
