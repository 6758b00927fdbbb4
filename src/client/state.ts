import { type ErrorCode, GatepassError } from "../errors.ts";
import type { ClientOptions, ClientState } from "./types.ts";

/** The options with their defaults. */
export type Settings = Required<Omit<ClientOptions, "container">> & Pick<ClientOptions, "container">;

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

/** An error of the client; one that is one already stays as it is. */
export function failure(what: What, detail: unknown = "", cause: unknown = detail): GatepassError {
  if (detail instanceof GatepassError) return detail;
  return new GatepassError(`ERR_CLIENT_${what}`, `Cannot go on: ${what} ${detail}`, { cause });
}

/** An address as the page's own tells it. A `<base>` that somebody injected must not lead tokens elsewhere. */
export const addressOf = (url: string): URL => new URL(url, location.href);

/** @throws {TypeError} a member that is not in `known`: misspelt, it would be ignored */
export function assertKnown(options: object, known: string): void {
  for (const name in options) if (!known.split(" ").includes(name)) throw new TypeError(`Invalid option "${name}": expected ${known}`);
}

/** As `work`, or after as many milliseconds, unless `signal` aborts first: then its reason. Neither timer nor listener stays. */
export function race(work: number, signal: AbortSignal): Promise<void>;
export function race<T>(work: Promise<T>, signal: AbortSignal): Promise<T>;
export function race<T>(work: Promise<T> | number, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      if (signal.aborted) reject(signal.reason);
      else resolve(undefined);
    };
    signal.addEventListener("abort", end);
    if (typeof work === "number") timer = setTimeout(end, work);
    else work.then(resolve, reject).finally(end);
    if (signal.aborted) end();
  });
}
