import { expect, test } from "vitest";
import type { GateOptions } from "../../../src/gate/types.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { bearer, MODERATOR, testGate } from "../../helpers/gate.ts";

const WIDE: GateOptions["limits"] = Object.fromEntries(
  ["session", "scores.write", "scores.commit", "scores.read"].map((name) => [
    name,
    [{ name, limit: 100_000, window: 60, by: "ip" as const }],
  ]),
);

test("whoever only asks leaves rates by address behind and nothing under a text of its own", async () => {
  const store = memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) });
  const { send } = testGate({ store, limits: WIDE });
  for (let i = 0; i < 100; i++) {
    const headers = {
      "x-device-id": `device${i}`,
      "x-request-id": `request${i}`,
      "x-gatepass-player": `player${i}`,
      "x-gatepass-session": `s${i}.s.s`,
      "x-turnstile-token": `token${i}`,
      "x-forwarded-for": `198.51.100.${i}`,
      "user-agent": `agent${i}`,
    };
    await send("POST", "/session", { turnstileToken: `token${i}`, playerToken: `player${i}` }, headers);
    await send("POST", "/scores", { score: i, name: `name${i}` }, headers);
    await send("POST", "/scores", { commitment: `c${i}.c.c` }, headers);
    await send("POST", "/commitments", { score: i }, headers);
    await send("GET", `/scores?period=${1000 + i}-01-01&around=row${i}`, undefined, headers);
    await send("DELETE", `/scores/row${i}`, undefined, headers);
  }
  const kinds = store.keys().map((key) => key.replace("203.0.113.7", "IP"));
  expect(kinds.sort()).toEqual([
    "sIP|rsmoderation.moderation:900",
    "sIP|rsscores.commit.scores.commit:60",
    "sIP|rsscores.read.scores.read:60",
    "sIP|rsscores.write.scores.write:60",
    "sIP|rssession.session:60",
  ]);
});

test("no answer names a player, nor shows a row that is hidden or of who is banned, however it is asked for", async () => {
  const { send, session, board, gate } = testGate({ limits: WIDE });
  const players: string[] = [];
  const ids: string[] = [];
  const tokens: string[] = [];
  for (let i = 0; i < 5; i++) {
    const token = await session();
    const { id }: { id: string } = await (await send("POST", "/scores", { score: i, name: `name${i}` }, bearer(token))).json();
    players.push((await gate.sessions.verify(token)).sub);
    tokens.push(token);
    ids.push(id);
  }
  for (const period of ["all", "2026-W47", "2026-11-20"]) {
    const row = await board.ofPlayer({ board: "main", period, player: players[2] ?? "" });
    await board.hide(row?.id ?? "", true);
    ids.push(row?.id ?? "");
  }
  await board.ban(players[3] ?? "", true, "main");
  const queries = ["all", "week", "day"].flatMap((period) => [
    `?period=${period}&limit=100`,
    ...[...ids, "me"].map((id) => `?period=${period}&limit=100&around=${id}`),
    ...ids.map((id) => `?period=${period}&board=strict&around=${id}`),
  ]);
  let text = "";
  for (const query of queries) {
    for (const headers of [{}, ...tokens.map(bearer)]) text += await (await send("GET", `/scores${query}`, undefined, headers)).text();
  }
  expect(text).toContain("name4");
  for (const secret of [...players, "name2", "name3"]) expect(text).not.toContain(secret);
});

test("a hundred guesses of the moderation token at once are five, and nothing is done by any", async () => {
  const { send, session, board } = testGate();
  const { id }: { id: string } = await (await send("POST", "/scores", { score: 1 }, bearer(await session()))).json();
  const guesses = Array.from({ length: 100 }, (_, i) => MODERATOR.slice(0, -1) + String.fromCharCode(33 + (i % 80)));
  const answers = await Promise.all(
    guesses.filter((guess) => guess !== MODERATOR).map((guess) => send("DELETE", `/scores/${id}`, undefined, bearer(guess))),
  );
  const count = (status: number): number => answers.filter((answer) => answer.status === status).length;
  expect([count(401), count(429)]).toEqual([5, answers.length - 5]);
  expect(await board.find(id)).not.toBeNull();
});
