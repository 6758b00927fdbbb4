import { type ErrorCode, GatepassError } from "../errors.ts";
import type { ClientOptions, ClientState } from "./types.ts";

/** The options with their defaults. */
export type Settings = Required<ClientOptions>;

/** What the parts of one client share. */
export interface Context extends Settings {
  /** Without a slash at the end. */
  readonly baseUrl: string;
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
  return new GatepassError(`ERR_CLIENT_${what}`, `${what} ${detail}`, { cause });
}

/** An address as the page's own tells it. A `<base>` that somebody injected must not lead tokens elsewhere. */
export const addressOf = (url: string): URL => new URL(url, location.href);

/**
 * Makes a method of a client: whatever is under way ends with the client, and every rejection has a code. `known`: the members that the method's
 * options can have, between spaces. Any other is refused: misspelt, it would be ignored.
 */
export type Open = <A extends unknown[], T>(work: (...given: A) => Promise<T>, known?: string) => (...given: A) => Promise<T>;

export function createOpen(closing: AbortSignal): Open {
  return (work, known) =>
    async (...given) => {
      try {
        for (const name in known && Object(given[0])) {
          if (!known?.split(" ").includes(name)) throw new TypeError(`Invalid option "${name}"`);
        }
        if (closing.aborted) throw closing.reason;
        return await race(work(...given), closing);
      } catch (error) {
        throw failure("CONFIG", error);
      }
    };
}

/**
 * As `work`, or after as many milliseconds, unless one of the signals aborts first. Neither timer nor listener stays.
 * (`AbortSignal.any` is newer than the oldest browsers that are supported.)
 *
 * @throws {GatepassError} ERR_CLIENT_ABORTED, or ERR_CLIENT_CLOSED, which is the reason of `closing`
 */
export function race(work: number, ...signals: AbortSignal[]): Promise<void>;
export function race<T>(work: Promise<T>, ...signals: AbortSignal[]): Promise<T>;
export function race<T>(work: Promise<T> | number, ...signals: AbortSignal[]): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = (): void => {
      clearTimeout(timer);
      for (const signal of signals) {
        signal.removeEventListener("abort", end);
        if (signal.aborted) reject(failure("ABORTED", signal.reason));
      }
      resolve(undefined);
    };
    for (const signal of signals) signal.addEventListener("abort", end);
    if (typeof work === "number") timer = setTimeout(end, work);
    else work.then(resolve, reject).finally(end);
    for (const { aborted } of signals) if (aborted) end();
  });
}
