// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { refusal } from "../../helpers/client-server.ts";
import { call, codeOf, ORIGIN, type Setup, settle, setup, show } from "./setup.ts";

let current: Setup;
const make = (...given: Parameters<typeof setup>): Setup => {
  current = setup(...given);
  return current;
};

beforeEach(() => {
  vi.useFakeTimers();
  show(true);
});
afterEach(async () => {
  current.client.close();
  await Promise.resolve();
  expect(vi.getTimerCount()).toBe(0);
  expect(current.turnstile.live.size).toBe(0);
  expect(document.body.children.length).toBe(0);
  vi.useRealTimers();
});

describe("session", () => {
  it("is single flight, and lives in memory until 45 s before its end", async () => {
    const { client, server, turnstile } = make();
    const all = await settle(Promise.all(Array.from({ length: 100 }, () => client.session())));
    expect(new Set(all)).toEqual(new Set(["s1"]));
    expect([turnstile.executed, server.calls("POST /session").length]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(254_000);
    expect(turnstile.executed).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await client.session()).toBe("s2");
    expect(turnstile.executed).toBe(2);
  });

  it("100 overlapping session() and token(): one challenge for the session, one per token as far as the queue goes, no token twice", async () => {
    const { client, server, turnstile } = make();
    const calls = Array.from({ length: 100 }, () => [client.session(), client.token()] as const);
    const all = Promise.all([Promise.all(calls.map(([session]) => session)), Promise.allSettled(calls.map(([, token]) => token))]);
    const [sessions, tokens] = await settle(all);
    expect(new Set(sessions)).toEqual(new Set(["s1"]));
    expect(server.calls("POST /session")).toHaveLength(1);
    const minted = tokens.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    // Eight may wait, and the session's is one of them.
    expect([minted.length, new Set(minted).size, turnstile.executed]).toEqual([7, 7, 8]);
    const refused = tokens.flatMap((one) => (one.status === "rejected" ? [one.reason.code] : []));
    expect(refused).toEqual(Array(93).fill("ERR_CLIENT_BUSY"));
    // Nobody got the token that bought the session.
    expect(turnstile.issued.size).toBe(7);
    expect(minted.every((token) => turnstile.issued.has(token))).toBe(true);
  });

  it("starts a widget with everything registered, one per token, and removes it", async () => {
    const { client, turnstile } = make({ theme: "dark", language: "de" });
    await settle(client.token({ cdata: "abc", action: "other" }));
    expect(turnstile.rendered).toHaveLength(1);
    expect(turnstile.rendered[0]).toMatchObject({
      sitekey: "0x4EXAMPLE",
      action: "other",
      cData: "abc",
      theme: "dark",
      language: "de",
      execution: "execute",
      appearance: "interaction-only",
      retry: "never",
      "refresh-expired": "never",
      "refresh-timeout": "never",
      "response-field": false,
    });
    await vi.advanceTimersByTimeAsync(10);
    expect(turnstile.live.size).toBe(0);
    await settle(client.token());
    // The spare: rendered, not executed.
    expect([turnstile.rendered.length, turnstile.executed, turnstile.live.size]).toEqual([3, 2, 1]);
    await settle(client.token());
    expect([turnstile.rendered.length, turnstile.executed, turnstile.live.size]).toEqual([4, 3, 1]);
  });

  it("renews one that lives too short for `minLife`, and says when none lives that long", async () => {
    const { client } = make();
    await settle(client.session());
    await vi.advanceTimersByTimeAsync(100_000);
    expect(await settle(client.session({ minLife: 199 }))).toBe("s1");
    expect(await settle(client.session({ minLife: 201 }))).toBe("s2");
    expect(await codeOf(client.session({ minLife: 301 }))).toBe("ERR_CLIENT_CONFIG");
  });

  it("a short one is renewed at half of its life at the earliest: no loop", async () => {
    const { client, server } = make({ refreshBefore: 200 });
    server.settings.expiresIn = 120;
    await settle(client.session());
    await vi.advanceTimersByTimeAsync(59_000);
    expect(server.sessions.length).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(server.sessions.length).toBe(2);
  });

  it("a closed client sends nothing any more", async () => {
    const { client, sent } = make();
    client.close();
    expect(await codeOf(client.fetch(`${ORIGIN}/api/x`))).toBe("ERR_CLIENT_CLOSED");
    expect(await codeOf(client.session())).toBe("ERR_CLIENT_CLOSED");
    client.hold()();
    expect([sent, client.state]).toEqual([[], "closed"]);
  });

  it("is not renewed in a hidden tab, nor while offline, and is not sent once it has expired", async () => {
    const { client, server } = make();
    await settle(client.session());
    show(false);
    await vi.advanceTimersByTimeAsync(270_000);
    expect(server.sessions).toEqual(["s1"]);
    // Still alive, 30 s before its end, and visible again: now.
    show(true);
    await vi.advanceTimersByTimeAsync(100);
    expect(server.sessions).toEqual(["s1", "s2"]);
    const online = vi.spyOn(navigator, "onLine", "get").mockReturnValue(false);
    await vi.advanceTimersByTimeAsync(290_000);
    expect(server.sessions).toEqual(["s1", "s2"]);
    // A hint for when to try by itself, and no reason to refuse.
    expect(await codeOf(client.token())).toBe("no error");
    online.mockRestore();
    window.dispatchEvent(new Event("online"));
    await vi.advanceTimersByTimeAsync(100);
    expect(server.sessions).toEqual(["s1", "s2", "s3"]);
    await vi.advanceTimersByTimeAsync(250_000);
    show(false);
    await vi.advanceTimersByTimeAsync(100_000);
    show(true);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(server.sessions).toEqual(["s1", "s2", "s3"]);
    expect(await settle(client.session())).toBe("s4");
  });

  it("hold: nothing starts, not even when the script comes up meanwhile; a release counts once", async () => {
    const { client, turnstile, server } = make();
    await settle(client.start());
    const [one, two] = [client.hold(), client.hold()];
    await vi.advanceTimersByTimeAsync(400_000);
    const waiting = client.session();
    one();
    one();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(turnstile.executed).toBe(1);
    two();
    expect(await settle(waiting)).toBe("s2");
    const again = client.hold();
    await vi.advanceTimersByTimeAsync(400_000);
    again();
    await vi.advanceTimersByTimeAsync(100);
    // A game is over, a score is about to be sent: renewed without being asked.
    expect(server.sessions).toEqual(["s1", "s2", "s3"]);
  });

  it("the player's token goes along and is kept for the visit, or where the page keeps it", async () => {
    const kept: string[] = [];
    const { client, server } = make({ player: { load: () => "p-old", save: (token) => void kept.push(token) } });
    await settle(client.session());
    server.refuse("s1", "SESSION_EXPIRED");
    await settle(client.fetch(`${ORIGIN}/api/x`, { method: "POST" }));
    expect(server.calls("POST /session").map(({ body }) => body)).toMatchObject([{ playerToken: "p-old" }, { playerToken: "p-s1" }]);
    expect(kept).toEqual(["p-s1", "p-s2"]);
  });

  it.each([
    ["a number", 7],
    ["an object", { token: "p" }],
    ["a promise", Promise.resolve("p-old")],
    ["20,000 characters", "p".repeat(20_000)],
    ["what no header can hold", "p\u2603\n"],
    ["nothing", undefined],
    ["an empty text", ""],
  ])("a player token that is none counts as none, and the new one is saved: %s", async (_what, bad) => {
    const kept: string[] = [];
    const { client, server } = make({ player: { load: () => bad as string, save: (token) => void kept.push(token) } });
    server.next("POST /session", () => refusal(503, "UNAVAILABLE"));
    await settle(client.submitScore({ score: 1 }));
    await settle(client.session());
    expect(server.log.map(({ body, player }) => [Object(body).playerToken, player])).toEqual(Array(3).fill([undefined, null]));
    expect(kept).toEqual(["p-s1"]);
    server.refuse("s1", "SESSION_EXPIRED");
    await settle(client.fetch(`${ORIGIN}/api/x`, { method: "POST" }));
    expect(server.calls("POST /session").at(-1)?.body).toMatchObject({ playerToken: "p-s1" });
  });

  it("a page whose storage is closed loses the player, not the session", async () => {
    const broken = (): never => {
      throw new DOMException("closed", "SecurityError");
    };
    const { client, server } = make({ player: { load: broken, save: broken } });
    expect(await settle(client.session())).toBe("s1");
    expect(server.calls("POST /session")[0]?.body).not.toHaveProperty("playerToken");
  });

  it("refused: a typed error with what the gate said, and the next call tries again", async () => {
    const { client, server, states } = make();
    server.next("POST /session", () => refusal(403, "VERIFICATION_FAILED"));
    const error: unknown = await settle(client.session()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: "GatepassError", code: "ERR_CLIENT_REFUSED", cause: { status: 403, code: "VERIFICATION_FAILED" } });
    expect(String(error)).not.toMatch(/t1-w1/);
    expect(client.state).toBe("failed");
    server.next("POST /session", () => refusal(429, "RATE_LIMITED", { "retry-after": "17" }));
    expect(await settle(client.start().catch((reason: unknown) => reason))).toMatchObject({ cause: { status: 429, retryAfter: 17 } });
    server.next("POST /session", () => new Response("<html>proxy</html>", { status: 502 }));
    expect(await settle(client.session().catch((reason: unknown) => reason))).toMatchObject({ cause: { status: 502, code: "" } });
    server.next("POST /session", () => Promise.reject(new TypeError("Failed to fetch")));
    expect(await codeOf(client.session())).toBe("ERR_CLIENT_OFFLINE");
    expect(await settle(client.session())).toBe("s1");
    expect(states.at(-1)).toBe("ready");
  });

  it("an exchange that hangs is given up, so that not everybody waits for ever", async () => {
    const { client, server } = make();
    server.next("POST /session", () => new Promise(() => {}));
    expect(await codeOf(client.session())).toBe("ERR_CLIENT_OFFLINE");
    expect(await settle(client.session())).toBe("s1");
  });

  it("dry run: no credential is needed, for a while", async () => {
    const { client, server, turnstile } = make();
    server.settings.mode = "off";
    await settle(client.start());
    expect(await settle(client.session())).toBe("");
    await settle(client.submitScore({ score: 1 }));
    await settle(client.submitScore({ score: 2 }));
    expect(server.calls("POST /scores").map(({ credential, authorization }) => [credential, authorization])).toEqual([
      ["", null],
      ["", null],
    ]);
    expect(turnstile.executed).toBe(1);
    // Enforced from now on: the gate says so, and gets a session.
    server.settings.mode = "enforce";
    await settle(client.submitScore({ score: 3 }));
    expect(server.calls("POST /scores").map(({ credential }) => credential)).toEqual(["", "", "", "s1"]);
  });

  it("no signing secret: a fresh token with every write, and the gate is asked for a session once", async () => {
    const { client, server } = make();
    server.settings.mode = "no-secret";
    await settle(client.start());
    await settle(client.submitScore({ score: 1 }));
    await settle(client.submitScore({ score: 2 }));
    expect(server.calls("POST /scores").map(({ credential }) => credential)).toEqual(["fresh", "fresh"]);
    expect(server.calls("POST /session").length).toBe(1);
    expect(await settle(client.session())).toBe("");
    // A read takes none of them along.
    await settle(client.scores());
    expect(server.calls("GET /scores").map(({ credential }) => credential)).toEqual([""]);
  });

  it.each([
    [{ action: "other" }, { action: "other", cData: undefined }],
    [{ cdata: "abc" }, { action: "score_submit", cData: "abc" }],
  ])("the default's spare is never used for %j, and stays for the default", async (wish, rendered) => {
    const { client, turnstile } = make();
    const widgetOf = (token: string): unknown => turnstile.rendered[Number(token.split("-w")[1]) - 1];
    await settle(client.token());
    const spare = turnstile.rendered[1];
    const { action, cData } = Object(widgetOf(await settle(client.token(wish))));
    expect({ action, cData }).toEqual(rendered);
    expect(widgetOf(await settle(client.token()))).toBe(spare);
  });

  it("a spare that failed, or was torn out of the page, is not used", async () => {
    const { client, turnstile } = make();
    await settle(client.token());
    const spare = turnstile.rendered[1] ?? {};
    expect(call(spare, "error-callback", "300030")).toBe(true);
    await settle(client.token());
    expect(turnstile.rendered.length).toBe(4);
    document.body.replaceChildren();
    turnstile.live.clear();
    await settle(client.token());
    expect(turnstile.executed).toBe(3);
  });

  it("a challenge that slept with the page has lost no time", async () => {
    const { client, turnstile } = make();
    turnstile.script.push(() => {});
    const token = client.token();
    await vi.advanceTimersByTimeAsync(40_000);
    // The lid was closed for an hour: clocks have moved on, no timer has run.
    vi.setSystemTime(Date.now() + 3_600_000);
    await vi.advanceTimersByTimeAsync(7_000);
    expect(client.state).toBe("loading");
    expect(await codeOf(token)).toBe("ERR_CLIENT_TIMEOUT");
  });

  it("render or execute that throw are a matter of configuration", async () => {
    const { client, turnstile } = make();
    turnstile.script.push(() => {
      throw Object.assign(new Error("changed"), { code: 3618 });
    });
    const error: unknown = await settle(client.token().catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "ERR_CLIENT_CONFIG", cause: { code: 3618 } });
    client.close();
    expect(await codeOf(make({ container: "#nowhere" }).client.token())).toBe("ERR_CLIENT_CONFIG");
  });
});
