// The script of the page that native apps show in a WebView. It runs one challenge, and sends the outcome to the app or
// the parent frame.
import { createClient, isGatepassError } from "../../client/index.ts";

/** The messages to the native app or the parent frame. */
type Message = { type: "TURNSTILE_SUCCESS"; token: string } | { type: "TURNSTILE_ERROR"; error: string } | { type: "TURNSTILE_EXPIRED" };

/** The ways in which WebViews are talked to. */
interface Bridges {
  AndroidBridge?: { postMessage(text: string): void };
  webkit?: { messageHandlers?: { turnstile?: { postMessage(message: Message): void } } };
  ReactNativeWebView?: { postMessage(text: string): void };
  flutter_inappwebview?: { callHandler?(name: string, message: Message): void };
}

const bridges: Bridges = Object(window);
const { sitekey = "", action = "", cdata = "", script = "", origins = "", expires = "0" } = document.body.dataset;
const [status, retry] = [element("status"), element("retry")];
/** Milliseconds of `performance.now` at which the challenge is over, and after which no token of it is of use. */
const over = performance.now() + Number(expires) * 1000;
let expiry: ReturnType<typeof setTimeout> | undefined;
let running = false;

/**
 * Sends a message to the first bridge that exists, else to the parent frame, and only if that has an allowed origin.
 */
function tell(message: Message): void {
  const { AndroidBridge, webkit, ReactNativeWebView, flutter_inappwebview: flutter } = bridges;
  const ios = webkit?.messageHandlers?.turnstile;
  if (AndroidBridge) AndroidBridge.postMessage(JSON.stringify(message));
  else if (ios) ios.postMessage(message);
  else if (ReactNativeWebView) ReactNativeWebView.postMessage(JSON.stringify(message));
  else if (flutter?.callHandler) flutter.callHandler("turnstile", message);
  // It is injected before it can be used.
  else if (flutter) addEventListener("flutterInAppWebViewPlatformReady", () => tell(message), { once: true });
  else if (parent !== window) for (const origin of origins.split(" ")) if (origin) parent.postMessage(message, origin);
}

async function run(): Promise<void> {
  if (running) return;
  if (over <= performance.now()) return expire();
  running = true;
  clearTimeout(expiry);
  show("Checking that you are human", false);
  const client = createClient({ sitekey, action, scriptUrl: script, container: element("widget"), nonce: element("code").nonce ?? "" });
  try {
    const token = await client.token({ action, cdata });
    show("Done", false);
    tell({ type: "TURNSTILE_SUCCESS", token });
    expiry = setTimeout(
      () => {
        show("The check has expired", true);
        tell({ type: "TURNSTILE_EXPIRED" });
      },
      Math.max(0, Math.min(over - performance.now(), 300_000)),
    );
  } catch (error) {
    const name = nameOf(error);
    show(TEXTS[name] ?? "Something went wrong", true);
    tell({ type: "TURNSTILE_ERROR", error: name });
  } finally {
    client.close();
    running = false;
  }
}

const TEXTS: Record<string, string> = {
  timeout: "The check took too long",
  unsupported: "This browser is too old for the check",
  blocked: "The check was blocked. Is there a connection?",
};

/** Turnstile's own number where it gave one, else what kind of failure it was. */
function nameOf(error: unknown): string {
  if (!isGatepassError(error)) return "unknown_error";
  if (/^\d{3,6}$/.test(`${error.cause}`)) return `${error.cause}`;
  const kinds: Record<string, string> = {
    TIMEOUT: "timeout",
    UNSUPPORTED: "unsupported",
    BLOCKED: "blocked",
    SCRIPT: "blocked",
    OFFLINE: "blocked",
  };
  return kinds[error.code.replace("ERR_CLIENT_", "")] ?? "unknown_error";
}

function show(text: string, again: boolean): void {
  status.textContent = text;
  // Once the challenge itself is over, another try would be refused: the app has to ask for a new one.
  retry.hidden = !again || performance.now() > over;
}

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (!found) throw new Error(`No element "${id}"`);
  return found;
}

/** The challenge is over: there is nothing to try, neither now nor again. */
function expire(): void {
  show("The check has expired", false);
  tell({ type: "TURNSTILE_EXPIRED" });
}

retry.addEventListener("click", run);
// For native code: `evaluateJavascript("gatepassRetry()")`.
Object.assign(window, { gatepassRetry: run });
if (over > performance.now()) void run();
else expire();
