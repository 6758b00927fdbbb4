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
  return new GatepassError(`ERR_CLIENT_${what}`, `Cannot complete the call: ${what} ${detail}`, { cause });
}

/** Calls `task` once: after `ms`, and in any case when `signal` aborts. The result cancels; neither timer nor listener stays. */
export function after(signal: AbortSignal, task: () => void, ms?: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const cancel = (): void => {
    clearTimeout(timer);
    signal.removeEventListener("abort", fire);
  };
  const fire = (): void => {
    cancel();
    task();
  };
  signal.addEventListener("abort", fire);
  if (signal.aborted) fire();
  else if (ms !== undefined) timer = setTimeout(fire, ms);
  return cancel;
}

/** As `promise`, unless `signal` aborts first: then its reason. */
export function race<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = after(signal, () => reject(signal.reason));
    promise.then(resolve, reject).finally(cancel);
  });
}

/** Resolves after `ms`, or at once when `signal` aborts. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    after(signal, resolve, ms);
  });
}
