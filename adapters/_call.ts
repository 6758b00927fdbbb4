import { type ErrorCode, GatepassError, isGatepassError } from "../src/errors.ts";
import { assertInteger } from "../src/util/assertions.ts";

/** Runs one call to a backend: its answer, or a rejection within the time that was set. */
export type Call = <T>(work: () => PromiseLike<T>) => Promise<T>;

/**
 * A backend that is down or slow must not hang a request: what takes longer than `timeoutMs`, and whatever a driver throws, rejects with `code`
 * and the driver's error as its cause. A caller's mistake (RangeError, TypeError out of our own checks) belongs before the call.
 * An answer that comes too late is dropped: what it charged stays charged, which costs a use and never grants one.
 *
 * @param timeoutMs milliseconds, 1..60000, default 2000
 * @throws {RangeError} an invalid `timeoutMs`
 */
export function createCall(code: ErrorCode, timeoutMs = 2000): Call {
  assertInteger("timeoutMs", timeoutMs, 1, 60_000);
  return <T>(work: () => PromiseLike<T>) =>
    new Promise<T>((resolve, reject) => {
      const fail = (cause: unknown): void => {
        clearTimeout(timer);
        reject(isGatepassError(cause) ? cause : new GatepassError(code, "Cannot use the backend", { cause }));
      };
      const timer = setTimeout(() => fail(new Error(`No answer within ${timeoutMs} ms`)), timeoutMs);
      try {
        work().then((value) => {
          clearTimeout(timer);
          resolve(value);
        }, fail);
      } catch (error) {
        fail(error);
      }
    });
}
