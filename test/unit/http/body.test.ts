import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Refusal, readBody, readJson } from "../../../src/http/index.ts";

type Chunks = readonly (string | Uint8Array)[];

/** A request whose body comes in these chunks; `after` says what follows the last. */
function streamed(
  chunks: Chunks,
  options: { after?: "end" | "stall" | "break"; headers?: HeadersInit } = {},
): { request: Request; sent: () => number; stopped: () => boolean } {
  let sent = 0;
  let stopped = false;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks[sent];
        if (chunk !== undefined) {
          sent += 1;
          controller.enqueue(typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk);
        } else if (options.after === "break") controller.error(new Error("reset"));
        else if (options.after !== "stall") controller.close();
        else return new Promise<void>(() => undefined);
        return undefined;
      },
      cancel() {
        stopped = true;
      },
    },
    { highWaterMark: 0 },
  );
  const init: RequestInit & { duplex: "half" } = {
    method: "POST",
    body,
    duplex: "half",
    headers: { "content-type": "application/json", ...options.headers },
  };
  return { request: new Request("http://game.example/", init), sent: () => sent, stopped: () => stopped };
}

const post = (body: BodyInit | null, type: string | null = "application/json"): Request =>
  new Request("http://game.example/", { method: "POST", body, headers: type === null ? {} : { "content-type": type } });
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const outcome = await work.then(
    () => "no refusal",
    (error: unknown) => error,
  );
  return outcome instanceof Refusal ? outcome.code : String(outcome);
};

describe("readBody", () => {
  it("gives every byte up to the cap, however they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), fc.nat(200), async (chunks, cap) => {
        const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
        const work = readBody(streamed(chunks).request, cap);
        if (size > cap) return (await codeOf(work)) === "BODY_TOO_LARGE";
        return Buffer.from(await work).equals(Buffer.concat(chunks));
      }),
      { numRuns: 60 },
    );
  });

  it("stops the stream at the cap: nobody makes us take what we refuse", async () => {
    const endless = streamed(Array.from({ length: 1000 }, () => "x".repeat(100)));
    expect(await codeOf(readBody(endless.request, 1000))).toBe("BODY_TOO_LARGE");
    expect(endless.sent()).toBe(11);
    expect(endless.stopped()).toBe(true);
  });

  it("refuses by the declared length before reading, and does not believe a small one", async () => {
    const declared = streamed(["x".repeat(9000)], { headers: { "content-length": "9000" } });
    expect(await codeOf(readBody(declared.request, 8192))).toBe("BODY_TOO_LARGE");
    expect([declared.sent(), declared.stopped()]).toEqual([0, true]);
    expect(await codeOf(readBody(streamed(["x".repeat(9000)], { headers: { "content-length": "5" } }).request, 8192))).toBe(
      "BODY_TOO_LARGE",
    );
  });

  it("gives up on a body that stalls, even one that drips", async () => {
    const stalled = streamed(['{"a":'], { after: "stall" });
    expect(await codeOf(readBody(stalled.request, 8192, 20))).toBe("BODY_INVALID");
    expect(stalled.stopped()).toBe(true);
    let dripping = true;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (dripping) controller.enqueue(new Uint8Array(1));
      },
      cancel() {
        dripping = false;
      },
    });
    const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
    expect(await codeOf(readBody(new Request("http://game.example/", init), 8192, 40))).toBe("BODY_INVALID");
    expect(dripping).toBe(false);
  });

  it("refuses half a body, and takes none for empty", async () => {
    expect(await codeOf(readBody(streamed(['{"a":'], { after: "break" }).request, 8192))).toBe("BODY_INVALID");
    expect(await readBody(post(null), 8192)).toHaveLength(0);
    expect(await readBody(new Request("http://game.example/"), 8192)).toHaveLength(0);
  });

  it("tells our own mistake from the client's", async () => {
    const request = post("{}");
    await request.text();
    await expect(readBody(request, 8192)).rejects.toThrow(TypeError);
  });
});

describe("readJson", () => {
  it("reads JSON of any shape", async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 5 }), async (value) => {
        const text = JSON.stringify(value);
        expect(JSON.stringify(await readJson(post(text), 1 << 20))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    "application/json",
    "Application/JSON",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    'application/json; charset="utf-8"',
  ])("takes %s", async (type) => {
    expect(await readJson(post("[1]", type), 8192)).toEqual([1]);
  });

  it.each([
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/jsonp",
    "application/json; charset=latin1",
    "application/json, text/plain",
    "multipart/form-data; boundary=x",
    "application/ld+json",
    " ",
    "",
  ])("refuses the type %j: a form on a foreign page can send text/plain without a preflight", async (type) => {
    expect(await codeOf(readJson(post("{}", type), 8192))).toBe("UNSUPPORTED_MEDIA_TYPE");
  });

  it("refuses no body and no type", async () => {
    expect(await codeOf(readJson(post(null), 8192))).toBe("BODY_INVALID");
    expect(await codeOf(readJson(post(""), 8192))).toBe("BODY_INVALID");
    expect(await codeOf(readJson(post(null, null), 8192))).toBe("BODY_INVALID");
    expect(await codeOf(readJson(post(new TextEncoder().encode("{}"), null), 8192))).toBe("UNSUPPORTED_MEDIA_TYPE");
  });

  it.each(["{", "[1,]", "nul", "NaN", "{'a':1}", '"\\ud800', "\u0000", "[1]x", '{"a":1e}'])("refuses %j", async (text) => {
    expect(await codeOf(readJson(post(text), 8192))).toBe("BODY_INVALID");
  });

  it("refuses what is not UTF-8", async () => {
    expect(await codeOf(readJson(post(new Uint8Array([0x22, 0xff, 0xfe, 0x22])), 8192))).toBe("BODY_INVALID");
    expect(await codeOf(readJson(post(new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])), 8192))).toBe("BODY_INVALID");
  });

  it("is not blown up by brackets", async () => {
    for (const open of ["[", '{"a":', '[{"a":']) {
      expect(await codeOf(readJson(post(open.repeat(100_000)), 1 << 20))).toBe("BODY_INVALID");
      expect(await codeOf(readJson(post("[".repeat(33) + "]".repeat(33)), 1 << 20))).toBe("BODY_INVALID");
    }
    expect(await readJson(post(`${"[".repeat(32)}${"]".repeat(32)}`), 8192)).toBeDefined();
    expect(await readJson(post(JSON.stringify(["[".repeat(500), '\\"[[[['.repeat(50)])), 8192)).toHaveLength(2);
  });

  it("keeps hostile member names as data, and of two members the last", async () => {
    const value = await readJson(post('{"__proto__":{"admin":true},"a":1,"a":2}'), 8192);
    expect(Object.keys(Object(value))).toEqual(["__proto__", "a"]);
    expect(Reflect.get(Object({}), "admin")).toBeUndefined();
    expect(Reflect.get(Object(value), "a")).toBe(2);
  });
});
