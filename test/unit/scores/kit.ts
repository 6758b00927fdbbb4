import type { SecurityEvent } from "../../../src/events/types.ts";
import type { GateOptions } from "../../../src/gate/types.ts";
import type { ScoreBoard } from "../../../src/scores/board.ts";
import { memoryBoard, type ScoresOptions, scores } from "../../../src/scores/index.ts";
import type { Quota, SpendResult, Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, type TestGate, testGate } from "../../helpers/gate.ts";

export { bearer, MODERATOR, ORIGIN } from "../../helpers/gate.ts";

/** A gate with the scores feature, whose store and board count what they are asked. */
export interface ScoresKit extends TestGate {
  calls: { spends: (readonly Quota[])[]; results: SpendResult[]; writes: number; reads: number };
  /** Set: the board's calls reject with it. */
  breakBoard(error: Error | undefined): void;
  submit(body: unknown, token?: string, headers?: Record<string, string>): Promise<Response>;
  commit(score: number, token: string, board?: string): Promise<string>;
  /** A player's session, and the token by which it is known again. */
  player(playerToken?: string): Promise<{ token: string; playerToken: string; sub: string; jti: string }>;
  list(query?: string, headers?: Record<string, string>): Promise<Listed>;
  rejected(): SecurityEvent[];
}

export interface Listed {
  scores: { id: string; rank: number; name: string; score: number; at: number; level: string; replay: boolean }[];
  me?: { id: string; rank: number; score: number } | null;
}

const LOOSE = Object.fromEntries(
  ["session", "scores.read", "scores.write", "scores.commit"].map((name) => [
    name,
    [{ name, limit: 10_000, window: 60, by: "ip" as const }],
  ]),
);

export function kit(options: Partial<ScoresOptions> = {}, gate: Partial<GateOptions> = {}): ScoresKit {
  const calls: ScoresKit["calls"] = { spends: [], results: [], writes: 0, reads: 0 };
  let broken: Error | undefined;
  const inner = options.board ?? memoryBoard();
  const board: ScoreBoard = new Proxy(inner, {
    get(target, key: keyof ScoreBoard) {
      const method = target[key];
      if (typeof method !== "function") return method;
      return async (...values: unknown[]) => {
        if (broken) throw broken;
        if (["top", "around", "find", "ofPlayer"].includes(key)) calls.reads += 1;
        else calls.writes += 1;
        return Reflect.apply(method, target, values);
      };
    },
  });
  // The gate's clock begins there.
  let time = Date.UTC(2026, 10, 20, 12);
  const store = gate.store ?? memoryStore({ clock: () => time });
  const counted: Store = {
    consistency: store.consistency,
    spend: async (quotas) => {
      const at = calls.spends.push(quotas) - 1;
      const result = await store.spend(quotas);
      calls.results[at] = result;
      return result;
    },
    refund: (quotas, at) => store.refund(quotas, at),
    block: (key, expiresAt) => store.block(key, expiresAt),
  };
  const at = testGate({ limits: LOOSE, ...gate, store: counted, features: [scores({ ...options, board })] });
  const submit: ScoresKit["submit"] = (body, token, headers = {}) =>
    at.send("POST", "/scores", body, { ...(token === undefined ? {} : bearer(token)), ...headers });
  return {
    ...at,
    board: inner,
    calls,
    breakBoard: (error) => {
      broken = error;
    },
    advance(ms) {
      at.advance(ms);
      time += ms;
    },
    submit,
    async commit(score, token, name) {
      const answer = await at.send("POST", "/commitments", name === undefined ? { score } : { board: name, score }, bearer(token));
      if (answer.status !== 200) throw new Error(`The commitment ended with ${answer.status}: ${await answer.text()}`);
      const { commitment }: { commitment: string } = await answer.json();
      return commitment;
    },
    async player(playerToken) {
      const body = { turnstileToken: await at.mint(), ...(playerToken === undefined ? {} : { playerToken }) };
      const answer: { sessionToken: string; playerToken: string } = await (await at.send("POST", "/session", body)).json();
      const { sub, jti } = await at.gate.sessions.verify(answer.sessionToken);
      return { token: answer.sessionToken, playerToken: answer.playerToken, sub, jti };
    },
    async list(query = "", headers = {}) {
      return (await at.send("GET", `/scores${query}`, undefined, headers)).json();
    },
    rejected: () => at.events.filter(({ type }) => type === "score_rejected"),
  };
}

/** Status and public code. */
export async function codeOf(answer: Response): Promise<[number, string]> {
  const { error }: { error: string } = await answer.clone().json();
  return [answer.status, error];
}
