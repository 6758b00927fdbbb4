import { GatepassError } from "../../src/errors.ts";
import type { Store } from "../../src/store/contract.ts";
import type { StoreUnderTest } from "../../src/testing/store.ts";

/** The calls that cross: the store's own, and what the suite wants to do behind it. */
type Extras = Pick<StoreUnderTest, "advance" | "dump">;
const CALLS = ["spend", "refund", "block", "sweep", "check", "close", "advance", "dump"] as const;
type CallName = (typeof CALLS)[number];

/** What a call came to, as JSON. */
type Answer = { value: unknown } | { error: { name: string; message: string; code?: string } };

/**
 * The far end of {@link remoteStore}: answers `POST` requests whose body is `{ call, args }`. It runs where the store lives (workerd, Deno, Bun)
 * and knows nothing of that runtime. NaN and infinities, which JSON lacks, cross as `{ "number": "NaN" }`.
 */
export async function serveStore(store: Store, extras: Extras, request: Request): Promise<Response> {
  return Response.json(await answer(store, extras, await request.text()));
}

async function answer(store: Store, extras: Extras, body: string): Promise<Answer> {
  try {
    const { call, args } = JSON.parse(body, (_, value) => (value?.number === undefined ? value : Number(value.number)));
    if (!isCall(call)) throw new TypeError(`Cannot call "${call}"`);
    const target: Record<string, unknown> = { ...store, ...extras };
    const method = target[call];
    if (typeof method !== "function") throw new TypeError(`The store has no "${call}"`);
    return { value: (await method(...args)) ?? null };
  } catch (error) {
    if (!(error instanceof Error)) return { error: { name: "Error", message: String(error) } };
    const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
    return { error: { name: error.name, message: error.message, ...(code !== undefined && { code }) } };
  }
}

/** A store that lives elsewhere, called through `send` (a `fetch` to wherever {@link serveStore} answers), and what the suite does behind it. */
export function remoteStore(
  send: (body: string) => Promise<{ text(): Promise<string> }>,
  consistency: Store["consistency"] = "exact",
): { store: Required<Pick<Store, "sweep" | "check" | "close">> & Store; advance(ms: number): Promise<void>; dump(): Promise<string[]> } {
  const call = async (name: CallName, ...args: unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ call: name, args }, (_, value) =>
      typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value,
    );
    const told: Answer = JSON.parse(await (await send(body)).text());
    if ("error" in told) throw asError(told.error);
    return told.value;
  };
  // The far end is the very store under test, so what it says is what the suite is there to judge.
  const typed = <T>(name: CallName, ...args: unknown[]): Promise<T> => call(name, ...args) as Promise<T>;
  return {
    store: {
      consistency,
      spend: (quotas) => typed("spend", quotas),
      refund: (quotas, at) => typed("refund", quotas, at),
      block: (key, expiresAt) => typed("block", key, expiresAt),
      sweep: (max) => typed("sweep", ...(max === undefined ? [] : [max])),
      check: () => typed("check"),
      close: () => typed("close"),
    },
    advance: (ms) => typed("advance", ms),
    dump: () => typed("dump"),
  };
}

function asError({ name, message, code }: { name: string; message: string; code?: string }): Error {
  if (code === "ERR_STORE_UNAVAILABLE" || code === "ERR_STORE_FULL" || code === "ERR_BOARD_UNAVAILABLE") {
    return new GatepassError(code, message);
  }
  return name === "RangeError" ? new RangeError(message) : Object.assign(new TypeError(message), { name });
}

function isCall(call: unknown): call is CallName {
  return CALLS.some((name) => name === call);
}
