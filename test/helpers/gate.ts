import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../src/emulator/index.ts";
import type { SecurityEvent } from "../../src/events/types.ts";
import { createGate } from "../../src/gate/index.ts";
import type { Gate, GateOptions } from "../../src/gate/types.ts";
import type { ScoreBoard } from "../../src/scores/board.ts";
import { memoryBoard, scores } from "../../src/scores/index.ts";
import type { Store } from "../../src/store/contract.ts";
import { memoryStore } from "../../src/store/index.ts";

/** A whole gate with its emulator, on a clock of its own. */
export interface TestGate {
  gate: Gate;
  board: ScoreBoard;
  store: Store;
  events: SecurityEvent[];
  errors: unknown[];
  emulator: ReturnType<typeof createTurnstileEmulator>;
  origin: string;
  /** A fresh Turnstile token. */
  mint(cdata?: string): Promise<string>;
  /** Sends JSON (text is sent as it is) to a path below /api. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
  /** Solves, exchanges, and gives the session token. */
  session(): Promise<string>;
  advance(ms: number): void;
}

export const ORIGIN = "https://game.example";
export const SECRET = "a signing secret of the tests, at least 32 bytes";
export const MODERATOR = "a moderation token of the tests, 32 characters";

/** Makes it; `options` win over the defaults. */
export function testGate(options: Partial<GateOptions> = {}): TestGate {
  let time = Date.UTC(2026, 10, 20, 12);
  const clock = (): number => time;
  const emulator = createTurnstileEmulator({ clock });
  const board = memoryBoard();
  const store = options.store ?? memoryStore({ clock });
  const events: SecurityEvent[] = [];
  const errors: unknown[] = [];
  const gate = createGate({
    secrets: SECRET,
    clock,
    fetch: (input, init) => emulator.fetch(new Request(input, init)),
    turnstile: {
      secret: EMULATOR_SECRET,
      allowedHostnames: ["game.example"],
      allowTestKeys: true,
      siteverifyUrl: "https://emulator.example/turnstile/v0/siteverify",
    },
    clientIp: () => "203.0.113.7",
    store,
    features: [
      scores({
        board,
        boards: { main: { names: "typed" }, strict: { require: "commitment", names: "typed" } },
        moderation: { tokens: [MODERATOR] },
      }),
    ],
    onEvent: (event) => events.push(event),
    onError: (error) => errors.push(error),
    ...options,
  });
  const mint: TestGate["mint"] = async (cdata) =>
    await emulator.control.mint({
      sitekey: EMULATOR_SITEKEY,
      action: "score_submit",
      hostname: "game.example",
      ...(cdata ? { cdata } : {}),
    });
  const send: TestGate["send"] = (method, path, body, headers = {}) =>
    gate.fetch(
      new Request(`${ORIGIN}/api${path}`, {
        method,
        headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
        body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
      }),
    );
  const session = async (): Promise<string> => {
    const answer = await send("POST", "/session", { turnstileToken: await mint() });
    const body: { sessionToken: string } = await answer.json();
    return body.sessionToken;
  };
  const advance = (ms: number): void => {
    time += ms;
  };
  return { gate, board, store, events, errors, emulator, origin: ORIGIN, mint, send, session, advance };
}

/** The header of a session. */
/** The token with another signature: its first character, of which every bit counts, is another one. */
export function forged(token: string): string {
  return token.replace(/([^.])([^.]*)$/, (_, first: string, rest: string) => (first === "A" ? "B" : "A") + rest);
}

export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });
