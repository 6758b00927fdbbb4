import { createTurnstileEmulator, EMULATOR_SECRET, EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import type { SecurityEvent } from "../../../src/events/types.ts";
import { createGate } from "../../../src/gate/index.ts";
import { type ScoreBoard, scores } from "../../../src/scores/index.ts";
import type { Store } from "../../../src/store/index.ts";

/** What the processes share besides the store. */
export interface Shared {
  /** The boards' operator. */
  operator: "best" | "sum";
  /** A session's token, of any process. */
  token: string;
  /** Name of the call. */
  key: string;
}

/** What came of ten requests. */
export interface Answers {
  statuses: number[];
  ids: string[];
  accepted: number;
  committed: number;
  commitments: string[];
}

/** A gate as each process has it. */
export function sharedGate(store: Store, board: ScoreBoard, operator: "best" | "sum") {
  const emulator = createTurnstileEmulator();
  const events: SecurityEvent[] = [];
  const loose = (name: string) => [{ name, limit: 10_000, window: 60, by: "ip" as const }];
  const gate = createGate({
    secrets: "a signing secret of all processes, at least 32 bytes",
    turnstile: { secret: EMULATOR_SECRET, allowedHostnames: ["game.example"], allowTestKeys: true },
    fetch: (input, init) => emulator.fetch(input instanceof Request ? input : String(input), init),
    clientIp: () => "203.0.113.7",
    session: { uses: 5 },
    limits: Object.fromEntries(["scores.read", "scores.write", "scores.commit"].map((name) => [name, loose(name)])),
    store,
    features: [scores({ board, boards: { main: { operator } } })],
    onEvent: (event) => events.push(event),
  });
  const send = (method: string, path: string, body?: object, headers = {}): Promise<Response> =>
    gate.fetch(
      new Request(`https://game.example/api${path}`, {
        method,
        headers: { "content-type": "application/json", ...headers },
        body: body === undefined ? null : JSON.stringify(body),
      }),
    );
  return {
    events,
    send,
    async session(): Promise<string> {
      const turnstileToken = emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" });
      const { sessionToken }: { sessionToken: string } = await (await send("POST", "/session", { turnstileToken })).json();
      return sessionToken;
    },
  };
}

/** One call for a score and one for a commitment, each sent ten times at once. */
export async function tenTimes(store: Store, board: ScoreBoard, { operator, token, key }: Shared): Promise<Answers> {
  const { send, events } = sharedGate(store, board, operator);
  const headers = { authorization: `Bearer ${token}`, "idempotency-key": `"${key}"` };
  const all = (path: string): Promise<Response[]> =>
    Promise.all(Array.from({ length: 10 }, () => send("POST", path, { score: 10 }, headers)));
  const [written, signed] = await Promise.all([all("/scores"), all("/commitments")]);
  const count = (type: string): number => events.filter((event) => event.type === type).length;
  return {
    statuses: [...written, ...signed].map(({ status }) => status),
    ids: await Promise.all(written.map(async (answer) => (await answer.json()).id)),
    commitments: await Promise.all(signed.map(async (answer) => (await answer.json()).commitment)),
    accepted: count("score_accepted"),
    committed: count("score_committed"),
  };
}
