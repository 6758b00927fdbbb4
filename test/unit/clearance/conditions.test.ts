import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { askCondition, borrow } from "../../../src/clearance/conditions.ts";
import type { PolicyDocument } from "../../../src/clearance/types.ts";
import { ORIGIN } from "../../helpers/gate.ts";
import { type Api, api } from "./tools.ts";

// The rest of the gate waits for real work: only the clock of the condition stands still.
beforeEach(() => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const POLICY = { always_require_clearance: [{ path: "/v1/graphql", when: "writes" }], never_require_clearance: ["/v1/*"] };

/** A request whose body comes only as far as it is told, and says whether its reader was let go. */
function slow(): { request: Request; send(text: string): void; cancelled(): boolean } {
  let cancelled = false;
  let sink: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        sink = controller;
      },
      cancel: () => {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const init: RequestInit & { duplex: "half" } = { method: "POST", body, duplex: "half" };
  const request = new Request(`${ORIGIN}/v1/graphql`, init);
  return { request, send: (text) => sink?.enqueue(new TextEncoder().encode(text)), cancelled: () => cancelled };
}

/** Waits until the clock of a condition runs, then turns it by `ms`; tells whether there is an answer then. */
async function answeredAfter(ms: number, work: Promise<unknown>): Promise<boolean> {
  let answered = false;
  const ended = (): void => {
    answered = true;
  };
  work.then(ended, ended);
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  while (vi.getTimerCount() === 0 && !answered) await turn();
  await vi.advanceTimersByTimeAsync(ms);
  for (let i = 0; i < 20; i++) await turn();
  return answered;
}

describe("a condition that does not answer in 10 s counts as strict", () => {
  it.each([
    ["of a request without a body", { method: "GET" }],
    ["of a request with one that it does not read", { method: "POST", body: "{}" }],
  ] as const)("%s", async (_name, init) => {
    const { gate } = api({ policy: POLICY, when: { writes: () => new Promise<boolean>(() => undefined) } });
    const admission = gate.protect(new Request(`${ORIGIN}/v1/graphql`, init)).then(({ ok }) => ok);
    expect(await answeredAfter(9_999, admission)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await admission).toBe(false);
  });

  it("of a body that stands still: its reader is let go, and the other half of the body is still the handler's", async () => {
    const { gate } = api({ policy: POLICY, when: { writes: async (request) => (await request.text()).includes("mutation") } });
    const { request, send, cancelled } = slow();
    const admission = gate.protect(request).then(({ ok }) => ok);
    await answeredAfter(10_000, admission);
    expect(await admission).toBe(false);
    // Both halves of the body are needed to end it: the condition's has ended, and with the handler's it is over.
    expect(cancelled()).toBe(false);
    send("x");
    await request.body?.cancel();
    expect(cancelled()).toBe(true);
  });

  it("a condition that begins to read when its time is over gets nothing, and nobody keeps the body for it", async () => {
    let read: Promise<string> | undefined;
    const late = (request: Request): Promise<boolean> =>
      new Promise((resolve) =>
        setTimeout(() => {
          read = request.text();
          read.catch(() => undefined);
          resolve(true);
        }, 11_000),
      );
    const { request } = slow();
    const answer = askCondition(late, request).catch((error: unknown) => error);
    await answeredAfter(10_000, answer);
    expect(await answer).toBeInstanceOf(RangeError);
    await vi.advanceTimersByTimeAsync(1_000);
    await expect(read).rejects.toThrow(RangeError);
    // A tee would have locked it.
    expect(request.body?.locked).toBe(false);
  });
});

describe("a condition that answers", () => {
  it("about a request without a body decides", async () => {
    const { call, gate } = api({ policy: POLICY, when: { writes: (request) => request.headers.get("x-operation") === "write" } });
    for (const method of ["GET", "HEAD", "DELETE"]) {
      expect((await call("/v1/graphql", { method, headers: { "x-operation": "write" } })).status).toBe(403);
      expect((await call("/v1/graphql", { method, headers: { "x-operation": "read" } })).status).toBe(200);
    }
    expect((await gate.protect(new Request(`${ORIGIN}/v1/graphql`))).ok).toBe(true);
  });

  it("lets its timer and its reader go at once", async () => {
    const { request, send, cancelled } = slow();
    send("mutation");
    const answer = askCondition(async (copy) => {
      await copy.body?.getReader().read();
      return true;
    }, request);
    expect(await answer).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
    await request.body?.cancel();
    expect(cancelled()).toBe(true);
  });

  it("only true is true: what a condition in JavaScript answers instead is not", async () => {
    for (const answer of [1, "yes", {}, [], undefined, null])
      expect(await askCondition(() => answer as unknown as boolean, new Request(ORIGIN))).toBe(false);
  });

  it("a condition that throws at once leaves no timer", async () => {
    const broken = (): boolean => {
      throw new TypeError("broken");
    };
    await expect(askCondition(broken, new Request(ORIGIN))).rejects.toThrow("broken");
    const used = new Request(ORIGIN, { method: "POST", body: "x" });
    await used.text();
    await expect(borrow(used, (copy) => copy.text())).rejects.toThrow();
  });
});

it.each([1, 0, "yes", "", {}, [], null, undefined, new Response()])(
  "a condition in JavaScript that answers %j opens nothing: the stricter side counts",
  async (answer) => {
    const call = async (policy: PolicyDocument): Promise<number> => {
      const at: Api = Reflect.apply(api, undefined, [{ policy, when: { writes: () => answer } }]);
      return (await at.call("/v1/graphql")).status;
    };
    expect(await call(POLICY)).toBe(403);
    const free: PolicyDocument = {
      always_require_clearance: ["/v1/*"],
      never_require_clearance: [{ path: "/v1/graphql", when: "writes" }],
    };
    expect(await call(free)).toBe(403);
  },
);

it("signals of the application that could never count are its mistake, and open nothing", async () => {
  const policy: PolicyDocument = { risk_based: [{ path: "/v1/x", risk: 30 }] };
  for (const [given, message] of [
    [{ badIp: 1 }, '"signals.badIp": expected a boolean, got 1'],
    [{ attestation: "false" }, '"signals.attestation": expected a boolean, got false'],
    [{ botScore: "5" }, '"signals.botScore": expected a number, got 5'],
    ["badIp", '"signals": expected an object'],
    [[], '"signals": expected an object'],
  ] as const) {
    const { call, through }: Api = Reflect.apply(api, undefined, [{ policy, signals: () => given }]);
    await expect(call("/v1/x")).rejects.toThrow(message);
    expect(through).toEqual([]);
  }
  for (const given of [undefined, null, {}, { botScore: null, badIp: undefined }, { botScore: Number.NaN, mine: "a text" }]) {
    const { call }: Api = Reflect.apply(api, undefined, [{ policy, signals: () => given }]);
    expect((await call("/v1/x")).status).toBe(200);
  }
});
