import { type ErrorCode, GatepassError, isGatepassError } from "../src/errors.ts";
import { assertInteger } from "../src/util/assertions.ts";

/** Runs one call to a backend. It gives the answer, or rejects within `timeoutMs`. */
export type Call = <T>(work: () => PromiseLike<T>) => Promise<T>;

/**
 * Bounds the time of calls, so that a backend that is down or slow cannot hang a request. A call that takes longer than
 * `timeoutMs`, or whose driver throws, rejects with `code`; the cause is the driver's error. Check the caller's
 * arguments before the call: their errors must not be wrapped.
 *
 * A late answer is dropped. Its charge stays, which costs a use and never grants one.
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
