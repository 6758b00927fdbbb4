import { type ErrorCode, GatepassError } from "../errors.ts";
import type { ClientOptions, ClientState } from "./types.ts";

/** The options with their defaults. */
export type Settings = Required<Omit<ClientOptions, "container">> & { container: HTMLElement | string | undefined };

/** What the parts of one client share. */
export interface Context extends Settings {
  /** Aborted by `close()`, with the error that pending promises reject with. */
  readonly closing: AbortSignal;
  /** How many holds are open. */
  held: number;
  enter(state: ClientState): void;
}

type Area<Code> = Code extends `ERR_CLIENT_${infer What}` ? What : never;

/** What can fail: the code without its first words. */
export type What = Area<ErrorCode>;

/** An error of the client. */
export function failure(what: What, detail: unknown = "", cause: unknown = detail): GatepassError {
  return new GatepassError(`ERR_CLIENT_${what}`, `Cannot go on: ${what} ${detail}`, { cause });
}

/** As `promise`, unless `signal` aborts first: then its reason. No listener stays. */
export function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    signal.addEventListener("abort", abort);
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** Resolves after `ms`, unless `signal` aborts first. No timer stays. */
export function sleep(ms: number, signal: AbortSignal): Promise<unknown> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const time = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return race(time, signal).finally(() => clearTimeout(timer));
}
