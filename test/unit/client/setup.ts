import { vi } from "vitest";
import { createClient } from "../../../src/client/index.ts";
import type { Client, ClientOptions, ClientState } from "../../../src/client/types.ts";
import { type ClientServer, clientServer } from "../../helpers/client-server.ts";

export const ORIGIN = "http://localhost:3000";

type Parameters = Record<string, unknown>;

/** A scripted `window.turnstile`, for what the emulator (see test/browser) cannot be made to do. Misuse throws. */
export interface FakeTurnstile {
  /** Parameters of every render. */
  rendered: Parameters[];
  executed: number;
  /** Widgets that are there. */
  live: Set<string>;
  /** What the next challenges do instead of passing. */
  script: ((params: Parameters, pass: () => void) => void)[];
  issued: Set<string>;
}

export function call(params: Parameters, name: string, ...values: unknown[]): unknown {
  const callback = params[name];
  return typeof callback === "function" ? callback(...values) : undefined;
}

export function fakeTurnstile(): FakeTurnstile {
  const widgets = new Map<string, Parameters>();
  const state: FakeTurnstile = { rendered: [], executed: 0, live: new Set(), script: [], issued: new Set() };
  let count = 0;
  const api = {
    render(container: HTMLElement, params: Parameters): string {
      if (container.childNodes.length > 0) throw new Error("A second render into one container");
      const id = `w${++count}`;
      state.rendered.push(params);
      state.live.add(id);
      widgets.set(id, params);
      container.append(document.createElement("span"));
      // The frame has come up.
      window.dispatchEvent(new MessageEvent("message", { origin: "https://challenges.cloudflare.com" }));
      return id;
    },
    execute(id: string): void {
      const params = widgets.get(id);
      if (!params || !state.live.has(id)) throw new Error("Execute of an unknown widget");
      widgets.delete(id);
      state.executed++;
      const pass = (): void => {
        const token = `t${state.executed}-${id}`;
        state.issued.add(token);
        call(params, "callback", token, false);
      };
      (state.script.shift() ?? ((_, now) => setTimeout(now, 20)))(params, pass);
    },
    remove(id: string): void {
      if (!state.live.delete(id)) throw new Error("Remove of an unknown widget");
    },
  };
  Reflect.set(window, "turnstile", api);
  return state;
}

export interface Setup {
  client: Client;
  server: ClientServer;
  turnstile: FakeTurnstile;
  states: ClientState[];
  /** What was sent, as it was sent. */
  sent: Request[];
}

/** A client with its page and a gate in the same process; a Turnstile token is good once. */
export function setup(options: Partial<ClientOptions> = {}): Setup {
  const turnstile = fakeTurnstile();
  const server = clientServer((token) => turnstile.issued.delete(token));
  const states: ClientState[] = [];
  const sent: Request[] = [];
  const client = createClient({
    sitekey: "0x4EXAMPLE",
    baseUrl: `${ORIGIN}/api`,
    onState: (state) => states.push(state),
    fetch: async (input, init) => {
      const request = new Request(input, init);
      sent.push(request);
      const { signal } = request;
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        server.handle(request.clone()).then(resolve, reject);
      });
    },
    ...options,
  });
  return { client, server, turnstile, states, sent };
}

/** Lets the fake clock run until a promise has settled; its value. */
export async function settle<T>(promise: Promise<T>, ms = 60_000): Promise<T> {
  let done = false;
  promise.then(
    () => (done = true),
    () => (done = true),
  );
  for (let i = 0; i < ms / 10 && !done; i++) await vi.advanceTimersByTimeAsync(10);
  if (!done) throw new Error("The promise did not settle");
  return promise;
}

/** The code that a promise rejects with. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await settle(promise);
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
  return "no error";
}

export function show(visible: boolean): void {
  Object.defineProperty(document, "hidden", { value: !visible, configurable: true });
  document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
}
