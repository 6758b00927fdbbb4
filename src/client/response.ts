import type { GatepassError } from "../errors.ts";
import type { SessionAnswer } from "../protocol.ts";
import { failure } from "./context.ts";
import type { Refusal } from "./types.ts";

/** An answer of the gate, read. */
export interface Answer {
  response: Response;
  /** The JSON; an empty object when there was none, as in a proxy's error page. */
  data: Data;
}

/** What the gate's answers may hold, unchecked. */
interface Data extends Partial<SessionAnswer> {
  dryRun?: boolean;
  error?: string;
  details?: unknown;
}

/** Reads an answer to its end. */
export async function read(response: Response): Promise<Answer> {
  return { response, data: Object(await response.json().catch(() => {})) };
}

/** The error for an answer that is not what was asked for. */
export function refused({ response, data }: Answer): GatepassError {
  const { status, headers } = response;
  const { error: code = "", details } = data;
  const cause: Refusal = { status, code, retryAfter: Number(headers.get("retry-after")) || undefined, details };
  return failure("REFUSED", `${status} ${code}`, cause);
}
