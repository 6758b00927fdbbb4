import { createTurnstileEmulator, EMULATOR_SITEKEY } from "../../../../src/emulator/index.ts";
import type { Store } from "../../../../src/store/contract.ts";
import { bearer, type TestGate, testGate } from "../../../helpers/gate.ts";

/** A gate over a store whose server has this machine's time. */
export type RealGate = Pick<TestGate, "session" | "events"> & { write(token: string): Promise<Response> };

/** Makes one whose own clock is off by so much, in ms. */
export function gateAt(off: number, store: Store): RealGate {
  const clock = (): number => Date.now() + off;
  const emulator = createTurnstileEmulator({ clock });
  const { send, events } = testGate({ store, clock, fetch: (input, init) => emulator.fetch(new Request(input, init)) });
  return {
    events,
    async session() {
      const turnstileToken = await emulator.control.mint({ sitekey: EMULATOR_SITEKEY, action: "score_submit", hostname: "game.example" });
      const body: { sessionToken?: string } = await (await send("POST", "/session", { turnstileToken })).json();
      return body.sessionToken ?? "none";
    },
    write: (token) => send("POST", "/scores", { board: "main", score: 5, name: "Wren" }, bearer(token)),
  };
}
