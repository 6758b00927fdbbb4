import { parseJsonObject } from "../util/json.ts";
import { pause } from "./siteverify.ts";
import type { EmulatorState } from "./state.ts";
import { TOKEN_LIFE } from "./tokens.ts";
import type { ChallengeFault } from "./types.ts";
import { DUMMY_TOKEN, hostnameAllowed, TEST_SITEKEYS } from "./widgets.ts";

/** Milliseconds before the server's expiry at which the page counts a token as expired. */
const CLIENT_MARGIN = 10_000;
/** Milliseconds that a person has unless the fault says otherwise. */
const PATIENCE = 120_000;
export const ACTION: RegExp = /^[a-z0-9_-]{0,32}$/i;
export const CDATA: RegExp = /^[a-z0-9_=-]{0,255}$/i;

/** What the frame does next: the answer of `POST /turnstile/v0/challenge`. */
type Step =
  | { step: "token"; token: string /** Milliseconds. */; life: number }
  | { step: "ask" /** Milliseconds. */; timeout: number }
  | { step: "error"; code: number; repeat: number }
  | { step: "unsupported" }
  | { step: "silence" };

/** The frame tells what its page is and what was asked for; the server decides, as the real one does. */
export async function challenge(request: Request, state: EmulatorState): Promise<Response> {
  const ask = parseJsonObject(await request.text());
  if (ask === null) return new Response(null, { status: 400 });
  state.counts.challenges += ask["ticked"] === true ? 0 : 1;
  const fault = ask["ticked"] === true ? undefined : state.faults.challenge(String(ask["sitekey"]));
  // A frame that went away in the meantime is no error of the server's: nobody waits for the answer.
  const gone = fault?.kind === "slow" && (await pause(fault.ms, request.signal).catch(() => true));
  if (gone === true) return new Response(null, { status: 408 });
  return Response.json(decide(ask, fault, state));
}

function decide(ask: Record<string, unknown>, fault: ChallengeFault | undefined, state: EmulatorState): Step {
  if (fault?.kind === "error") return { step: "error", code: fault.code, repeat: fault.repeat ?? 1 };
  if (fault?.kind === "unsupported") return { step: "unsupported" };
  if (fault?.kind === "unresponsive") return { step: "silence" };
  const { sitekey, action, cdata, origin, ticked } = ask;
  const life = fault?.kind === "expire" ? (fault.after ?? 0) : TOKEN_LIFE - CLIENT_MARGIN;
  const timeout = fault?.kind === "interaction" ? (fault.timeout ?? PATIENCE) : PATIENCE;
  const test = TEST_SITEKEYS.get(String(sitekey));
  if (test?.blocks) return failed(600_010);
  const widget = state.widgets.find((one) => one.sitekey === sitekey);
  const hostname = hostnameOf(origin);
  if (test === undefined) {
    if (widget === undefined) return failed(400_020);
    if (widget.disabled) return failed(400_070);
    if (hostname === null || !hostnameAllowed(widget, hostname)) return failed(110_200);
    if (typeof action !== "string" || !ACTION.test(action)) return failed(110_420);
    if (typeof cdata !== "string" || !CDATA.test(cdata)) return failed(110_430);
  }
  // An invisible widget has nothing to tick: Cloudflare decides about it without asking.
  const mode = test?.mode ?? widget?.mode;
  const asks = test?.asks ?? widget?.interactive ?? false;
  if (ticked !== true && (fault?.kind === "interaction" || (asks && mode !== "invisible"))) return { step: "ask", timeout };
  state.counts.tokens += 1;
  if (widget === undefined || hostname === null) return { step: "token", token: DUMMY_TOKEN, life };
  const entry = { widget, hostname, action: String(action), cdata: String(cdata), interactive: ticked === true, ephemeralId: undefined };
  return { step: "token", token: state.tokens.issue(entry), life };
}

function failed(code: number): Step {
  return { step: "error", code, repeat: 1 };
}

/** Only http(s) pages have a hostname; `null` stands for sandboxed and opaque origins. */
function hostnameOf(origin: unknown): string | null {
  if (typeof origin !== "string" || !/^https?:\/\//.test(origin) || !URL.canParse(origin)) return null;
  return new URL(origin).hostname;
}
