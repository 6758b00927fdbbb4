import { parseJsonObject } from "../util/json.ts";
import { assertOptions, type Rules } from "../util/options.ts";
import { ACTION, CDATA } from "./challenge.ts";
import type { EmulatorState } from "./state.ts";
import type { EmulatorControl, Fault, MintOptions } from "./types.ts";

const MINT_RULES: Rules<MintOptions> = {
  sitekey: "string",
  action: "string",
  cdata: "string",
  hostname: "string",
  interactive: "boolean",
  ephemeralId: "string",
};

/** The control of an emulator in the same process; `moveOn` turns its clock. */
export function createControl(state: EmulatorState, moveOn: (ms: number) => void): EmulatorControl {
  return {
    mint(options = {}) {
      assertOptions("mint", options, MINT_RULES);
      const { sitekey, action = "", cdata = "", hostname = "localhost", interactive = false, ephemeralId } = options;
      const widget = state.widgets.find((one) => sitekey === undefined || one.sitekey === sitekey);
      if (widget === undefined) throw new TypeError(`Cannot mint a token: unknown sitekey ${JSON.stringify(sitekey)}`);
      if (!ACTION.test(action)) throw new TypeError('Invalid "action": expected at most 32 of [a-z0-9_-]');
      if (!CDATA.test(cdata)) throw new TypeError('Invalid "cdata": expected at most 255 of [a-z0-9_=-]');
      state.counts.tokens += 1;
      return state.tokens.issue({ widget, hostname, action, cdata, interactive, ephemeralId });
    },
    fault: (fault) => state.faults.add(fault),
    clear: () => state.faults.clear(),
    advance(ms) {
      if (!Number.isFinite(ms) || ms < 0) throw new RangeError('Invalid "ms": expected a number, 0 or more');
      moveOn(ms);
      return state.clock();
    },
    counts: () => ({ ...state.counts }),
  };
}

/** `POST /turnstile/control/<name>` with a JSON object. */
export async function overHttp(request: Request, name: string, control: EmulatorControl): Promise<Response> {
  // A page of another origin can post a form or text to any server; it cannot post JSON without asking, and nobody answers it.
  if (request.method !== "POST" || !/^application\/json\b/i.test(request.headers.get("content-type") ?? "")) {
    return Response.json({ error: "Cannot control the emulator: expected a POST with a JSON body" }, { status: 405 });
  }
  const body = parseJsonObject(await request.text());
  if (body === null) return refusal("expected a JSON object");
  try {
    switch (name) {
      case "mint":
        assertStrings(body);
        return Response.json({ token: control.mint(body) });
      case "fault":
        assertKind(body);
        control.fault(body);
        break;
      case "clear":
        control.clear();
        break;
      case "advance":
        return Response.json({ now: control.advance(Number(body["ms"])) });
      case "counts":
        break;
      default:
        return Response.json({ error: `Cannot control the emulator: no verb ${JSON.stringify(name)}` }, { status: 404 });
    }
    return Response.json(control.counts());
  } catch (error) {
    return refusal(error instanceof Error ? error.message : String(error));
  }
}

function refusal(message: string): Response {
  return Response.json({ error: message }, { status: 400 });
}

function assertStrings(body: Record<string, unknown>): asserts body is MintOptions & Record<string, unknown> {
  for (const [name, value] of Object.entries(body)) {
    const expected = name === "interactive" ? "boolean" : "string";
    if (typeof value !== expected) throw new TypeError(`Invalid "${name}": expected a ${expected}`);
  }
}

/** Only the outline; `fault` itself looks at each member. */
function assertKind(body: Record<string, unknown>): asserts body is Fault & Record<string, unknown> {
  if (typeof body["kind"] !== "string") throw new TypeError('Invalid "kind": expected a string');
}
