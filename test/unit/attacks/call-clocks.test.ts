// A client's call that is sent again must cost one use, whichever process takes the repeat and however wrong its clock is.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createGate } from "../../../src/gate/index.ts";
import type { Gate } from "../../../src/gate/types.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";
import type { Store } from "../../../src/store/contract.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, ORIGIN, SECRET } from "../../helpers/gate.ts";

const START = Date.UTC(2026, 10, 20, 12);
const TOKEN = "one-solve";
const CALL = { "idempotency-key": '"kQ3vY8bN0aZt5cRw7eXuLg"' };
/** Seconds that a clock is wrong at most, either way. */
const MOST = 7200;

interface Plan {
  /** Seconds that the clocks of two processes and of the store are wrong. */
  offsets: readonly [number, number];
  server: number;
  /** Seconds that a solve may be old. */
  maxAge: number;
  /** Seconds that pass before each sending of the call, and the process that takes it. */
  sent: readonly { wait: number; at: 0 | 1 }[];
}

interface Outcome {
  /** Uses of the solve that the call cost. */
  uses: number;
  statuses: number[];
}

/** Sends one call again and again. Each process exchanges the solve anew before it, if it still takes it. */
async function send({ offsets, server, maxAge, sent }: Plan, of: "scores" | "commitments" = "scores"): Promise<Outcome> {
  // The store has been there for a day: it has forgotten nothing of this solve.
  let time = START - 86_400_000;
  let uses = 0;
  const inner = memoryStore({ clock: () => time + server * 1000 });
  time = START;
  const store: Store = {
    consistency: "exact",
    async spend(quotas) {
      const result = await inner.spend(quotas);
      if (result.ok && quotas.some(({ key, cost = 1 }) => /^ujti:s[^|]*$/.test(key) && cost > 0)) uses += 1;
      return result;
    },
    refund: (quotas, at) => inner.refund(quotas, at),
    block: (key, expiresAt) => inner.block(key, expiresAt),
  };
  const board = memoryBoard();
  const gates = offsets.map((offset) =>
    createGate({
      secrets: SECRET,
      store,
      clock: () => time + offset * 1000,
      session: { uses: 5, ttl: 900 },
      turnstile: {
        secret: "secret-of-a-provider-that-says-yes",
        allowedHostnames: ["game.example"],
        allowTestKeys: true,
        siteverifyUrl: "https://provider.example/siteverify",
        maxAge,
      },
      // It says yes for as long as it is asked: nothing but the gates' own counting holds.
      fetch: async () =>
        Response.json({
          success: true,
          challenge_ts: new Date(START).toISOString(),
          hostname: "game.example",
          action: "score_submit",
          cdata: "",
        }),
      clientIp: () => "203.0.113.7",
      features: [scores({ board, boards: { main: { operator: "sum" } } })],
    }),
  );
  const post = (gate: Gate, path: string, body: unknown, headers = {}): Promise<Response> =>
    gate.fetch(
      new Request(`${ORIGIN}/api${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    );
  let session = "";
  const statuses: number[] = [];
  for (const { wait, at } of sent) {
    time += wait * 1000;
    const gate = gates[at];
    if (!gate) throw new Error("There are two processes");
    const { sessionToken } = await (await post(gate, "/session", { turnstileToken: TOKEN })).json();
    if (typeof sessionToken === "string") session = sessionToken;
    statuses.push((await post(gate, `/${of}`, { score: 10 }, { ...CALL, ...bearer(session) })).status);
  }
  return { uses, statuses };
}

describe.each(["scores", "commitments"] as const)("a call to %s costs one use, and is repeated for as long as its solve lives", (of) => {
  it("when the store's clock is ahead and the solve is exchanged again at the last moment", async () => {
    const sent = [
      { wait: 0, at: 0 },
      { wait: 300, at: 0 },
      { wait: 899, at: 0 },
    ] as const;
    const { uses, statuses } = await send({ offsets: [0, 0], server: 10, maxAge: 305, sent }, of);
    expect(statuses.slice(1)).toEqual([200, 200]);
    expect(uses).toBe(1);
  });

  it("when a solve may be an hour old", async () => {
    const sent = [
      { wait: 0, at: 0 },
      { wait: 1300, at: 1 },
      { wait: 1300, at: 0 },
    ] as const;
    const { uses, statuses } = await send({ offsets: [0, 0], server: 0, maxAge: 3600, sent }, of);
    expect(statuses.slice(1)).toEqual([200, 200]);
    expect(uses).toBe(1);
  });

  it("by any clocks that are up to two hours wrong, in any order", async () => {
    const offset = fc.oneof(fc.integer({ min: -MOST, max: MOST }), fc.constantFrom(0, 0, 5, -5, 300, -300, 1200, -1200, MOST, -MOST));
    const wait = fc.oneof(fc.integer({ min: 0, max: 2 * MOST }), fc.constantFrom(0, 299, 899, 1201, 1300));
    const plan = fc.record<Plan>({
      offsets: fc.tuple(offset, offset),
      server: offset,
      maxAge: fc.constantFrom(305, 3600, 86_400),
      sent: fc.array(fc.record({ wait, at: fc.constantFrom(0, 1) }), { minLength: 2, maxLength: 6 }),
    });
    let paid = 0;
    const once = async (given: Plan): Promise<boolean> => {
      const { uses } = await send(given, of);
      paid += uses;
      return uses <= 1;
    };
    await fc.assert(fc.asyncProperty(plan, once), { numRuns: 300, seed: 8 });
    // Clocks that are far apart refuse everything: some plans must get as far as the spend.
    expect(paid).toBeGreaterThan(50);
  });
});
