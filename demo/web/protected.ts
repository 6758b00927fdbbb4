/** The "protected API" page: four requests through a client that obeys the gate, and everything about what they got. */

import { explainPolicy } from "gatepass/clearance";
import { type Client, type ClientState, createClient } from "gatepass/client";
import { withClearance } from "gatepass/client/clearance";
import type { LogLine } from "../protected-lab.ts";
import { LARGE_AMOUNT, LOG_PATH, PAGE_HEADER, POLICY_PATH, ROUTES, SIGNALS_HEADER } from "../protected-policy.ts";
import { element, elements } from "./dom.ts";
import { createEditor, namesOf, type Situation } from "./protected-editor.ts";
import { showClocks, showOutcome } from "./protected-outcome.ts";
import { type Controls, createControls } from "./protected-signals.ts";
import { createTracer } from "./protected-trace.ts";
import { VERDICTS } from "./protected-words.ts";
import { troubleOf } from "./trouble.ts";

type RouteName = keyof typeof ROUTES;

const { sitekey = "", scriptUrl = "", mode = "" } = document.documentElement.dataset;
/** Whether the page may bring signals and a policy of its own: in development alone, where the server listens to them. */
const lab = mode === "development";
const page = crypto.randomUUID();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const controls: Controls = lab ? createControls(preview) : { signals: () => ({}) };
element("signals", HTMLElement).hidden = !lab;
document.body.classList.toggle("live", lab);
const editor = createEditor(lab ? applyPolicy : undefined, preview);
const tracer = createTracer(() => (lab ? { [PAGE_HEADER]: page, [SIGNALS_HEADER]: JSON.stringify(controls.signals()) } : {}));
let client = connect();

function connect(): Client {
  const plain = createClient({ sitekey, ...(scriptUrl === "" ? {} : { scriptUrl }), fetch: tracer.fetch, onState: showGate });
  return withClearance(plain, { fetch: tracer.fetch, deviceId: crypto.randomUUID() });
}

const forms = new Map(elements("form[data-route]", HTMLFormElement).map((form) => [form.dataset["route"] ?? "", form]));
for (const name of namesOf(ROUTES)) {
  const form = forms.get(name);
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(name, form);
  });
  form?.addEventListener("input", preview);
}

/** Different for each visit: what is counted of an account or a number is counted of everybody who uses it. */
function prefill(): void {
  const digits = String(crypto.getRandomValues(new Uint16Array(1))[0] ?? 0).padStart(5, "0");
  // 07700 900xxx are nobody's numbers.
  for (const [route, field, value] of [
    ["login", "account", `wren-${digits}`],
    ["otp", "phone", `+44 7700 900${digits.slice(-3)}`],
  ] as const) {
    const input = forms.get(route)?.elements.namedItem(field);
    if (input instanceof HTMLInputElement) input.value = value;
  }
}
prefill();

let busy = false;
/** One at a time: the log is that of the request. */
async function send(name: RouteName, form: HTMLFormElement): Promise<void> {
  if (busy) return;
  busy = true;
  const button = form.querySelector("button");
  form.setAttribute("aria-busy", "true");
  const fields = Object.fromEntries([...new FormData(form)].map(([field, value]) => [field, String(value)]));
  const { method, path } = ROUTES[name];
  const query = method === "GET" ? `?${new URLSearchParams(fields)}` : "";
  let [answer, failure] = ["", ""];
  try {
    const init = method === "GET" ? {} : { body: JSON.stringify(fields), headers: { "content-type": "application/json" } };
    const response = await client.fetch(path + query, { method, ...init });
    answer = await response.text();
  } catch (error) {
    const { text } = troubleOf(error);
    failure = text.startsWith("That did not reach") ? "" : text;
  }
  const trace = tracer.take();
  const explained = await explainPolicy(editor.applied(), { method, path, signals: controls.signals(), holds: holds(name) });
  showOutcome({ trace, log: await readLog(), guess: explained.risk, answer: readable(answer), failure });
  showClocks(tracer.inHand());
  form.removeAttribute("aria-busy");
  busy = false;
  button?.focus({ preventScroll: true });
  const outcome = element("outcome", HTMLElement);
  // On a phone it is below, out of sight.
  if (outcome.getBoundingClientRect().top > innerHeight * 0.5) outcome.scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
  preview();
}

function holds(name: RouteName): readonly string[] {
  const form = name === "payment" ? forms.get(name) : undefined;
  return form && Number(new FormData(form).get("amount")) > LARGE_AMOUNT ? ["large"] : [];
}

/** What each request would get as things stand: on its card by the policy in force, in the table by the text. */
function preview(): void {
  const about: Situation = { signals: controls.signals(), holds };
  void editor.explain(about);
  for (const name of namesOf(ROUTES)) {
    const { method, path } = ROUTES[name];
    void explainPolicy(editor.applied(), { method, path, signals: about.signals, holds: holds(name) }).then(({ decision, risk }) => {
      const chip = document.querySelector(`[data-preview="${name}"]`);
      if (!chip) return;
      chip.className = `verdict-chip is-${decision}`;
      chip.textContent = `${VERDICTS[decision].short} · ${risk.score}`;
      chip.setAttribute("aria-label", `Would get: ${VERDICTS[decision].short}, risk ${risk.score}`);
    });
  }
}

async function readLog(): Promise<LogLine[]> {
  if (!lab) return [];
  try {
    const response = await fetch(LOG_PATH, { headers: { [PAGE_HEADER]: page } });
    const { lines = [] }: { lines?: LogLine[] } = await response.json();
    return lines;
  } catch {
    return [];
  }
}

async function applyPolicy(policy: object | null): Promise<string> {
  try {
    const init = policy ? { method: "PUT", body: JSON.stringify(policy) } : { method: "DELETE" };
    const response = await fetch(POLICY_PATH, { ...init, headers: { [PAGE_HEADER]: page, "content-type": "application/json" } });
    const { error = "" }: { error?: string } = await response.json();
    return error;
  } catch {
    return "The demo cannot be reached";
  }
}

element("stranger", HTMLButtonElement).addEventListener("click", () => {
  client.close();
  tracer.forget();
  client = connect();
  prefill();
  showClocks([]);
  element("live", HTMLElement).textContent = "You are a new device now";
});

function showGate(state: ClientState): void {
  const texts: Record<ClientState, string> = {
    idle: "No challenge yet",
    loading: "Checking",
    ready: "Challenge passed",
    interactive: "Your turn",
    blocked: "The check is blocked",
    failed: "Not passed",
    closed: "No challenge yet",
  };
  element("gate-text", HTMLElement).textContent = texts[state];
  element("gate", HTMLElement).dataset["state"] = state === "blocked" || state === "failed" ? "trouble" : state;
}

function readable(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// Where there is room for them.
for (const box of elements("#outcome details", HTMLDetailsElement)) box.open = matchMedia("(min-width: 821px)").matches;
setInterval(() => showClocks(tracer.inHand()), 1000);
showClocks([]);
preview();
