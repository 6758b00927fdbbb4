/** The challenge frame: says hello, runs a challenge when its page asks, shows a box when the server wants a person. */
import { type FromFrame, isToFrame, MARK, type ToFrame } from "./messages.ts";

type Event = FromFrame extends infer M
  ? M extends { mark: string; id: string; run: number }
    ? Omit<M, "mark" | "id" | "run">
    : never
  : never;
type Step =
  | { step: "token"; token: string; life: number }
  | { step: "ask"; timeout: number }
  | { step: "error"; code: number; repeat: number }
  | { step: "unsupported" }
  | { step: "silence" };

const query = new URLSearchParams(location.search);
const id = query.get("id") ?? "";
const run = Number(query.get("run"));
const sitekey = query.get("sitekey") ?? "";
const mode = document.documentElement.dataset["mode"] ?? "managed";
const dark = query.get("theme") === "dark" || (query.get("theme") !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
/** Origin of the page, known from its first message: browsers vouch for it. Tokens are told to nobody else. */
let page = "";
let silent = false;

window.addEventListener("message", ({ source, origin, data }) => {
  if (source !== window.parent || silent || !isToFrame(data) || data.run !== run) return;
  page = origin;
  if (data.event === "ping") tell({ event: "alive" });
  else start(data).catch(() => tell({ event: "error", code: 300_010 }));
});
const label = box();
tell({ event: "hello", mode });

async function start(asked: ToFrame & { event: "run" }): Promise<void> {
  label.textContent = "Checking…";
  await follow(await ask(asked, false), asked);
}

async function ask({ action, cdata }: ToFrame & { event: "run" }, ticked: boolean): Promise<Step> {
  const body = JSON.stringify({ sitekey, action, cdata, origin: page, ticked });
  const answer = await fetch("challenge", { method: "POST", headers: { "content-type": "application/json" }, body });
  return answer.json();
}

async function follow(step: Step, asked: ToFrame & { event: "run" }): Promise<void> {
  switch (step.step) {
    case "token":
      label.textContent = "Passed";
      tell({ event: "token", token: step.token, life: step.life });
      break;
    case "ask":
      if (await person(step.timeout)) await follow(await ask(asked, true), asked);
      break;
    case "error":
      label.textContent = `Failed (${step.code})`;
      for (let i = 0; i < step.repeat; i++) tell({ event: "error", code: step.code });
      break;
    case "unsupported":
      tell({ event: "unsupported" });
      break;
    case "silence":
      silent = true;
  }
}

/** Whether a person ticked the box in time. */
function person(timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const tick = document.createElement("input");
    tick.type = "checkbox";
    tick.style.cssText = "width:22px;height:22px;margin:0 10px 0 0";
    tick.setAttribute("aria-label", "I am a person");
    label.textContent = "I am a person";
    label.prepend(tick);
    tell({ event: "ask" });
    const timer = setTimeout(() => {
      label.textContent = "Too late";
      tell({ event: "timeout" });
      resolve(false);
    }, timeout);
    tick.addEventListener("change", () => {
      clearTimeout(timer);
      tick.disabled = true;
      tell({ event: "ticked" });
      resolve(true);
    });
  });
}

function tell(event: Event): void {
  // Before the page has spoken its origin is unknown: only the greeting goes out, and it tells nothing. An opaque origin cannot be named.
  const target = page === "" || page === "null" ? "*" : page;
  if (target === "*" && event.event === "token") return;
  window.parent.postMessage({ mark: MARK, id, run, ...event }, target);
}

function box(): HTMLElement {
  const outer = document.createElement("label");
  const [ink, paper] = dark ? ["#eee", "#222"] : ["#222", "#fafafa"];
  document.documentElement.style.cssText = `color-scheme:${dark ? "dark" : "light"};background:${paper}`;
  document.body.style.cssText = "margin:0;height:100vh;overflow:hidden";
  outer.style.cssText = `display:flex;align-items:center;box-sizing:border-box;height:100%;padding:0 14px;border:1px dashed #888;font:14px system-ui,sans-serif;color:${ink}`;
  outer.textContent = "Turnstile emulator";
  document.body.append(outer);
  return outer;
}
