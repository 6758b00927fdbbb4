/** Ember Ring's page: title, countdown, a minute of play, the result; the gate's client beside it. */
import { type ClientState, createClient } from "gatepass/client";
import { ASH, PULSE, SPARK, STAR, TURN } from "../game/rules.ts";
import type { Insets } from "./backdrop.ts";
import { createBoard } from "./board.ts";
import { element } from "./dom.ts";
import { createHud } from "./hud.ts";
import { listen } from "./input.ts";
import { pilot } from "./pilot.ts";
import { createRenderer } from "./renderer.ts";
import { createResult } from "./result.ts";
import { createLiveRun, type LiveRun, randomSeeds } from "./run.ts";
import { createSound } from "./sound.ts";
import { troubleOf } from "./trouble.ts";

const { sitekey = "", scriptUrl = "", mode = "" } = document.documentElement.dataset;
/** The speed of time: tests of a development build may change it, players never. */
const SPEED = mode === "development" ? Number(new URLSearchParams(location.search).get("speed")) || 1 : 1;
const PLAYER_KEY = "ember-ring.player";
const SOUND_KEY = "ember-ring.sound";

/** What the visitor's browser keeps; private windows may refuse, and the game goes on. */
const storage = {
  get(key: string): string {
    try {
      return localStorage.getItem(key) ?? "";
    } catch {
      return "";
    }
  },
  set(key: string, value: string): void {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Nothing is lost but comfort.
    }
  },
};

const stage = element("stage", HTMLElement);
const screens = { start: element("screen-start", HTMLElement), count: element("screen-count", HTMLElement) };
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const renderer = createRenderer(element("canvas", HTMLCanvasElement), () => calm.matches);
const hud = createHud();
const sound = createSound(storage.get(SOUND_KEY) === "on", (on) => storage.set(SOUND_KEY, on ? "on" : "off"));

const client = createClient({
  sitekey,
  ...(scriptUrl === "" ? {} : { scriptUrl }),
  player: { load: () => storage.get(PLAYER_KEY) || null, save: (token) => storage.set(PLAYER_KEY, token) },
  onState: showGate,
});
const board = createBoard(client);
const result = createResult(client, board, storage);

let phase: "title" | "count" | "play" | "over" = "title";
let run: LiveRun = attract();
let release: () => void = () => undefined;
/** What has been heard of the run, so that each cue sounds once. */
let heard = { tick: -1, pulse: 0 };

/** The run behind the title: it plays itself, or waits where motion is unwelcome. */
function attract(): LiveRun {
  const shown = createLiveRun({ seeds: randomSeeds(), pilot });
  // Some seconds in, so that there is something to see.
  for (let quarter = 0; quarter < 26; quarter++) shown.advance(250);
  return shown;
}

async function start(): Promise<void> {
  if (phase === "count" || phase === "play") return;
  phase = "count";
  // From here to the end of the run no challenge starts: never a box in the middle of a game.
  release = client.hold();
  run = createLiveRun({ seeds: randomSeeds(), speed: SPEED });
  heard = { tick: -1, pulse: 0 };
  renderer.reset();
  hud.reset();
  result.hide();
  screens.start.hidden = true;
  document.body.classList.add("playing");
  for (const id of ["hud", "zones", "quit"]) element(id, HTMLElement).hidden = false;
  hud.show(run.state, 0);
  stage.focus({ preventScroll: true });
  await countdown();
}

async function countdown(): Promise<void> {
  const count = element("count", HTMLElement);
  const mine = run;
  for (const number of [3, 2, 1]) {
    screens.count.hidden = true;
    count.textContent = String(number);
    void screens.count.offsetWidth; // a layout in between, so that the animation starts anew
    screens.count.hidden = false;
    sound.play("count");
    await new Promise((resolve) => setTimeout(resolve, 1000 / Math.max(1, SPEED)));
    if (phase !== "count" || run !== mine) return;
  }
  screens.count.hidden = true;
  sound.play("go");
  phase = "play";
}

/** Leaves the run's screen; what follows is the caller's. */
function leave(): void {
  phase = "over";
  screens.count.hidden = true;
  for (const id of ["hud", "zones", "quit"]) element(id, HTMLElement).hidden = true;
  document.body.classList.remove("playing");
  release();
  release = () => undefined;
}

function abort(why: "hidden" | "quit"): void {
  if (phase !== "count" && phase !== "play") return;
  leave();
  result.aborted(why);
  void board.refresh();
}

function finish(): void {
  leave();
  sound.play("end");
  result.finished(run.state);
  void board.refresh();
}

function listenToRun(): void {
  const { last, multiplier } = run.state;
  const pulse = Math.floor(run.tick / PULSE);
  if (pulse > heard.pulse && !run.done) sound.play("pulse");
  if (last.tick > heard.tick) {
    if (last.kind === SPARK) sound.play("spark", multiplier - 1);
    if (last.kind === STAR) sound.play("star");
    if (last.kind === ASH) sound.play("ash");
  }
  heard = { tick: last.tick, pulse };
}

/** What lies over the canvas: a panel at its left or, on a narrow stage, below; in a run the figures and the buttons' labels. */
function insets(): Insets {
  const { clientWidth: width, clientHeight: height } = stage;
  const wide = width > height;
  if (phase === "count" || phase === "play") return wide ? { top: 22, bottom: 66, left: 0 } : { top: 128, bottom: 92, left: 0 };
  const panel = stage.querySelector(".overlay:not([hidden]) .panel");
  if (!panel) return { top: 22, bottom: 22, left: 0 };
  const box = panel.getBoundingClientRect();
  const whole = stage.getBoundingClientRect();
  if (wide && width > 700) return { top: 30, bottom: 30, left: Math.round(box.right - whole.left + 8) };
  return { top: 16, bottom: Math.round(Math.min(whole.bottom - box.top + 14, height - 150)), left: 0 };
}

let then = performance.now();
function frame(now: number): void {
  const passed = now - then;
  then = now;
  if (phase === "play" || (phase === "title" && !calm.matches)) run.advance(passed);
  if (phase === "title" && run.done) {
    run = attract();
    renderer.reset();
  }
  if (phase === "play") {
    hud.show(run.state, run.tick);
    listenToRun();
    if (run.done) finish();
  }
  const { state, before, tick, part } = run;
  renderer.draw({ state, before, tick, part, now, timed: phase !== "title", insets: insets() });
  requestAnimationFrame(frame);
}

/** The small lamp in the bar: what the gate is doing, and a second try when it failed. */
function showGate(state: ClientState): void {
  const gate = element("gate", HTMLElement);
  const texts: Record<ClientState, string> = {
    idle: "Board ready",
    loading: "Looking ahead",
    ready: "Board ready",
    interactive: "One quick check",
    blocked: "The bot check is blocked",
    failed: "The bot check failed",
    closed: "Closed",
  };
  gate.dataset["state"] =
    state === "idle" || state === "ready" ? "ready" : state === "blocked" || state === "failed" ? "trouble" : "loading";
  element("gate-text", HTMLElement).textContent = texts[state];
  element("gate-retry", HTMLButtonElement).hidden = state !== "blocked" && state !== "failed";
}

/** The session is made before it is needed; a failure here is shown and costs nothing but the board. */
async function light(): Promise<void> {
  try {
    await client.start();
  } catch (error) {
    const gate = element("gate", HTMLElement);
    gate.dataset["state"] = "trouble";
    element("gate-text", HTMLElement).textContent = troubleOf(error).text;
    element("gate-retry", HTMLButtonElement).hidden = !troubleOf(error).again;
  }
  await board.refresh();
}

element("play", HTMLButtonElement).addEventListener("click", () => void start());
element("again", HTMLButtonElement).addEventListener("click", () => void start());
element("quit", HTMLButtonElement).addEventListener("click", () => abort("quit"));
element("gate-retry", HTMLButtonElement).addEventListener("click", () => void light());
const soundButton = element("sound", HTMLButtonElement);
soundButton.setAttribute("aria-pressed", String(sound.on));
soundButton.addEventListener("click", () => {
  sound.toggle();
  soundButton.setAttribute("aria-pressed", String(sound.on));
  sound.play("spark");
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") abort("hidden");
});
listen({
  active: () => phase === "play" || phase === "count",
  press(mask) {
    if (phase !== "play") return;
    run.press(mask);
    sound.play(mask === TURN ? "turn" : "move");
  },
  quit: () => abort("quit"),
});
void light();
requestAnimationFrame(frame);
