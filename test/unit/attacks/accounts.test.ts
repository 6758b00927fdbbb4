import { expect, test } from "vitest";
import { bearer, type TestGate, testGate } from "../../helpers/gate.ts";

/** A gate of an application with accounts, on a computer that several people use. */
function shared(): TestGate & { login(account: string | undefined): void; exchange(playerToken?: string): Promise<Answer> } {
  let account: string | undefined;
  const at = testGate({ session: { subject: () => account } });
  return {
    ...at,
    login: (name) => {
      account = name;
    },
    exchange: async (playerToken) => {
      const answer = await at.send("POST", "/session", { turnstileToken: await at.mint(), ...(playerToken && { playerToken }) });
      return answer.json();
    },
  };
}

interface Answer {
  sessionToken: string;
  playerToken: string;
}

const sub = async ({ gate }: TestGate, { sessionToken }: Answer): Promise<string> => (await gate.sessions.verify(sessionToken)).sub;

test("the player token of an account is no way into it: who logged out is a guest, and so is who took the token along", async () => {
  const at = shared();
  at.login("alice");
  const alice = await at.exchange();
  expect(await sub(at, alice)).toBe("alice");
  at.login(undefined);
  const guest = await at.exchange(alice.playerToken);
  expect(await sub(at, guest)).not.toBe("alice");
  const headers = { "x-turnstile-token": await at.mint(), "x-gatepass-player": alice.playerToken };
  expect((await at.send("POST", "/scores", { score: 1 }, headers)).status).toBe(201);
  expect(await at.board.ofPlayer({ board: "main", period: "all", player: "alice" })).toBeNull();
  // A guest stays the same guest, before and after.
  expect(await sub(at, await at.exchange(guest.playerToken))).toBe(await sub(at, guest));
});

test("a session of an account ends with its login: what the next visitor plays is not written to it", async () => {
  const at = shared();
  at.login("alice");
  const { sessionToken } = await at.exchange();
  expect((await at.send("POST", "/scores", { score: 1 }, bearer(sessionToken))).status).toBe(201);
  at.login(undefined);
  const refused = await at.send("POST", "/scores", { score: 2 }, bearer(sessionToken));
  expect([refused.status, await refused.json()]).toEqual([401, { error: "SESSION_INVALID" }]);
  at.login("bob");
  expect((await at.send("POST", "/scores", { score: 2 }, bearer(sessionToken))).status).toBe(401);
  at.login("alice");
  expect((await at.send("POST", "/scores", { score: 2 }, bearer(sessionToken))).status).toBe(201);
});

test("a guest who has the id of an account is still a guest", async () => {
  const at = shared();
  const guest = await at.exchange();
  at.login(await sub(at, guest));
  // Whoever logs in under a guest's id keeps that guest's session; the guest gets nothing of the account.
  expect((await at.send("POST", "/scores", { score: 1 }, bearer(guest.sessionToken))).status).toBe(201);
  at.login(undefined);
  expect((await at.send("POST", "/scores", { score: 2 }, bearer(guest.sessionToken))).status).toBe(201);
});
