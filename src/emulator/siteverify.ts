import { isJsonObject, parseJsonObject } from "../util/json.ts";
import type { EmulatorState } from "./state.ts";
import type { Issued } from "./tokens.ts";
import type { SiteverifyFault } from "./types.ts";
import { DUMMY_TOKEN, TEST_SECRETS } from "./widgets.ts";

/** Bytes of a request that are read at most. */
const MAX_REQUEST = 65_536;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** The answer of `POST /turnstile/v0/siteverify`, spoilt by the next fault in line. */
export async function siteverify(request: Request, state: EmulatorState): Promise<Response> {
  state.counts.siteverify += 1;
  const fault = state.faults.siteverify();
  // A fault that strikes before the token is looked at leaves it unspent; one that strikes after leaves it spent and the caller in the dark.
  if (fault === undefined || fault.kind === "delay" || fault.kind === "oversized" || (fault.spend ?? fault.kind === "drop")) {
    const answered = await answer(request, state);
    return fault === undefined ? answered : spoil(fault, answered, request);
  }
  return spoil(fault, failure("internal-error"), request);
}

async function answer(request: Request, state: EmulatorState): Promise<Response> {
  if (request.method !== "POST") return failure("bad-request", 405);
  const fields = await readFields(request);
  if (fields === null) return failure("bad-request", 400);
  const { secret, response, idempotency_key: key } = fields;
  if (secret === undefined || secret === "") return failure("missing-input-secret", 400);
  const widget = state.widgets.find((one) => one.secrets.includes(secret));
  if (widget === undefined && !TEST_SECRETS.has(secret)) return failure("invalid-input-secret", 400);
  if (response === undefined || response === "") return failure("missing-input-response");
  if (key !== undefined && !UUID.test(key)) return failure("invalid-idempotency-key", 400);
  if (widget === undefined) return testAnswer(TEST_SECRETS.get(secret), state.clock());
  // A real secret refuses the dummy token, as every other token that it does not know.
  const redeemed =
    response.length > 2048 || response === DUMMY_TOKEN ? "invalid-input-response" : state.tokens.redeem(response, widget, key);
  return typeof redeemed === "string" ? failure(redeemed) : success(redeemed);
}

function success({ at, hostname, action, cdata, interactive, ephemeralId }: Issued): Response {
  return Response.json({
    success: true,
    challenge_ts: new Date(at).toISOString(),
    hostname,
    "error-codes": [],
    action,
    cdata,
    metadata: { ...(ephemeralId === undefined ? {} : { ephemeral_id: ephemeralId }), interactive, emulator: true },
  });
}

/** Cloudflare's test secrets look at nothing: another hostname, no action, no cdata. */
function testAnswer(code: string | undefined, now: number): Response {
  const metadata = { result_with_testing_key: true, emulator: true };
  if (code !== undefined) return Response.json({ success: false, "error-codes": [code], messages: [], metadata });
  const challenge_ts = new Date(now).toISOString();
  return Response.json({ success: true, challenge_ts, hostname: "example.com", "error-codes": [], metadata });
}

function failure(code: string, status = 200): Response {
  return Response.json({ success: false, "error-codes": [code], messages: [] }, { status });
}

interface Fields {
  secret?: string;
  response?: string;
  remoteip?: string;
  idempotency_key?: string;
}

/** The fields of a JSON, urlencoded or multipart body; null for anything else. */
async function readFields(request: Request): Promise<Fields | null> {
  const type = request.headers.get("content-type") ?? "";
  const bytes = await request.arrayBuffer();
  if (bytes.byteLength > MAX_REQUEST) return null;
  let values: Record<string, unknown> | null;
  if (/^application\/json\b/i.test(type)) values = parseJsonObject(new TextDecoder().decode(bytes));
  else {
    const form = await new Response(bytes, { headers: { "content-type": type } }).formData().catch(() => null);
    values = form === null ? null : Object.fromEntries(form.entries());
  }
  // As in most JSON, null stands for what is not there: callers that do not know the address send "remoteip": null.
  const given = Object.entries(values ?? {}).filter(([, value]) => value !== null);
  const fields: Record<string, unknown> | null = values && Object.fromEntries(given);
  return isFields(fields) ? fields : null;
}

function isFields(values: unknown): values is Fields {
  const names = ["secret", "response", "remoteip", "idempotency_key"];
  return isJsonObject(values) && names.every((name) => values[name] === undefined || typeof values[name] === "string");
}

async function spoil(fault: SiteverifyFault, answered: Response, request: Request): Promise<Response> {
  const page = { headers: { "content-type": "text/html; charset=utf-8" } };
  switch (fault.kind) {
    case "fail":
      return failure(fault.code ?? "internal-error");
    case "delay":
      await pause(fault.ms, request.signal);
      return answered;
    case "hang":
      return new Promise((_, reject) => whenAborted(request.signal, reject));
    case "status":
      return new Response("<!doctype html><title>Unavailable</title>", { ...page, status: fault.status ?? 503 });
    case "html":
      return new Response("<!doctype html><title>Please wait</title>", page);
    case "oversized":
      return Response.json({ padding: "x".repeat(fault.bytes ?? 1_000_000), ...JSON.parse(await answered.text()) });
    case "redirect":
      return new Response(null, { status: 307, headers: { location: fault.to ?? "/turnstile/v0/accept" } });
    case "drop": {
      const body = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"success":'));
        },
        // By a later turn, so that status and headers are out before the connection breaks.
        pull: (controller) => controller.error(new TypeError("Cannot answer: the connection was dropped")),
      });
      return new Response(body);
    }
  }
}

/** Resolves after `ms` milliseconds; rejects when the request is aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    whenAborted(signal, (reason) => {
      clearTimeout(timer);
      reject(reason);
    });
  });
}

function whenAborted(signal: AbortSignal, then: (reason: unknown) => void): void {
  if (signal.aborted) then(signal.reason);
  else signal.addEventListener("abort", () => then(signal.reason), { once: true });
}
