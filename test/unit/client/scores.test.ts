// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type ClientOptions, createClient } from "../../../src/client/index.ts";
import { refusal } from "../../helpers/client-server.ts";
import { kit } from "../scores/kit.ts";
import { codeOf, type Setup, settle, setup, show } from "./setup.ts";

let current: Setup;
const make = (...given: Parameters<typeof setup>): Setup => {
  current = setup(...given);
  return current;
};

beforeEach(() => {
  vi.useFakeTimers();
  show(true);
});
afterEach(() => {
  current?.client.close();
  vi.useRealTimers();
});

const rows = (...scores: number[]): { id: string; score: number }[] => scores.map((score, at) => ({ id: `r${at}`, score }));

describe("scores", () => {
  it("submitScore sends name, score and board, and answers the receipt", async () => {
    const { client, server } = make();
    expect(await settle(client.submitScore({ score: 5, name: "Ada", board: "main" }))).toEqual({ id: "r1", rank: 1, best: true });
    await settle(client.submitScore({ score: 6 }));
    expect(server.calls("POST /scores").map(({ body }) => body)).toEqual([{ score: 5, name: "Ada", board: "main" }, { score: 6 }]);
  });

  it("commit, then submit: by the caller, or when the board asks", async () => {
    const { client, server } = make();
    server.settings.commitments = true;
    const commitment = await settle(client.commit({ score: 7, board: "strict" }));
    expect(commitment).toBe("c-7");
    await settle(client.submitScore({ score: 7, name: "Ada", commitment }));
    await settle(client.submitScore({ score: 8, name: "Bob", board: "strict" }));
    expect(server.calls("POST /scores").map(({ body }) => body)).toEqual([
      { name: "Ada", commitment: "c-7" },
      { name: "Bob", score: 8, board: "strict" },
      { name: "Bob", commitment: "c-8" },
    ]);
    expect(server.calls("POST /commitments").map(({ body }) => body)).toEqual([
      { score: 7, board: "strict" },
      { score: 8, board: "strict" },
    ]);
  });

  it("a dry gate signs nothing: the empty commitment goes as a bare score", async () => {
    const { client, server } = make();
    server.next("POST /commitments", () => Response.json({ dryRun: true }));
    const commitment = await settle(client.commit({ score: 7 }));
    expect(commitment).toBe("");
    await settle(client.submitScore({ score: 7, commitment }));
    expect(server.calls("POST /scores").map(({ body }) => body)).toEqual([{ score: 7 }]);
  });

  it("qualifies: a short list, a better score, not a tie; where the list rises, less is better", async () => {
    const { client, server, turnstile } = make();
    const ask = async (score: number, ...list: number[]): Promise<boolean> => {
      server.settings.rows = rows(...list);
      return settle(client.qualifies(score, "main"));
    };
    const ten = [100, 90, 80, 70, 60, 50, 40, 30, 20, 10];
    expect(await ask(0)).toBe(true);
    expect(await ask(1, ...ten.slice(1))).toBe(true);
    expect(await ask(11, ...ten)).toBe(true);
    expect(await ask(10, ...ten)).toBe(false);
    expect(await ask(9, ...[...ten].reverse())).toBe(true);
    expect(await ask(99, ...[...ten].reverse())).toBe(true);
    expect(await ask(100, ...[...ten].reverse())).toBe(false);
    expect(await ask(Number.NaN, ...ten)).toBe(false);
    // A courtesy costs no challenge.
    expect(turnstile.executed).toBe(0);
  });

  it("qualifies asks for that board's first ten, and takes the order from the gate: ten equal rows tell nothing", async () => {
    const { client, server, sent } = make();
    server.settings.rows = rows(...Array<number>(10).fill(50));
    const ask = (score: number): Promise<boolean> => settle(client.qualifies(score, "laps"));
    expect([await ask(49), await ask(50), await ask(51)]).toEqual([false, false, true]);
    server.settings.order = "asc";
    expect([await ask(49), await ask(50), await ask(51)]).toEqual([true, false, false]);
    server.settings.rows = rows(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    expect([await ask(9), await ask(10), await ask(11)]).toEqual([true, false, false]);
    expect(new Set(sent.map((request) => new URL(request.url).search))).toEqual(new Set(["?limit=10&board=laps"]));
  });

  it("on a real gate's rising board of ten equal rows a better score qualifies, and an equal one does not", async () => {
    const at = kit({ boards: { main: {}, laps: { order: "asc" } } });
    for (let i = 0; i < 10; i++) await at.submit({ score: 50, board: "laps" }, (await at.player()).token);
    const { client } = make({ fetch: (input, init) => at.gate.fetch(new Request(input, init)) });
    const ask = (score: number): Promise<boolean> => settle(client.qualifies(score, "laps"));
    expect([await ask(49), await ask(50), await ask(51)]).toEqual([true, false, false]);
    expect(await settle(client.qualifies(1))).toBe(true);
  });

  it("each call has a name: the same one on the retry after a refused session, another one for another call", async () => {
    const { client, server, sent } = make();
    const session = await settle(client.session());
    server.refuse(session, "SESSION_EXPIRED");
    await settle(client.submitScore({ score: 5 }));
    await settle(client.submitScore({ score: 5 }));
    server.settings.commitments = true;
    await settle(client.submitScore({ score: 6 }));
    const named = sent.filter(({ method, url }) => method === "POST" && !url.endsWith("/session"));
    expect(named.map(({ url }) => new URL(url).pathname.slice(5))).toEqual([
      "scores",
      "scores",
      "scores",
      "scores",
      "commitments",
      "scores",
    ]);
    const names = named.map(({ headers }) => headers.get("idempotency-key"));
    // A structured-field string that our own gate takes.
    for (const name of names) expect(name).toMatch(/^"[\w-]{16,64}"$/);
    expect(names[1]).toBe(names[0]);
    expect(new Set(names).size).toBe(5);
  });

  it("scores: the query as it is, without what is undefined", async () => {
    const { client, sent } = make();
    const board: { board?: string } = {};
    expect(await settle(client.scores({ ...board, period: "day", limit: 5, around: "me & you" }))).toEqual({ scores: [] });
    await settle(client.scores());
    expect(sent.map((request) => new URL(request.url).search)).toEqual(["?period=day&limit=5&around=me+%26+you", ""]);
  });

  it("refusals, proxies' pages and a dead network are typed", async () => {
    const { client, server } = make();
    server.next("POST /scores", () => Response.json({ error: "NAME_INVALID", details: ["name"] }, { status: 422 }));
    const error: unknown = await settle(client.submitScore({ score: 1, name: "" }).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "ERR_CLIENT_REFUSED", cause: { status: 422, code: "NAME_INVALID", details: ["name"] } });
    server.next("GET /scores", () => new Response("<html>"));
    expect(await codeOf(client.qualifies(1))).toBe("ERR_CLIENT_REFUSED");
    server.next("GET /scores", () => refusal(429, "RATE_LIMITED", { "retry-after": "3" }));
    expect(await settle(client.scores().catch((reason: unknown) => reason))).toMatchObject({ cause: { retryAfter: 3 } });
    server.next("POST /commitments", () => Promise.reject(new TypeError("Failed to fetch")));
    expect(await codeOf(client.commit({ score: 1 }))).toBe("ERR_CLIENT_OFFLINE");
  });
});

describe("createClient", () => {
  it("a wrong option is a TypeError at once, never ignored", () => {
    const wrong: Record<string, unknown>[] = [
      {},
      { sitekey: "" },
      { sitekey: "a b" },
      { action: "not allowed!" },
      { action: "x".repeat(33) },
      { theme: "blue" },
      { refreshBefore: -1 },
      { refreshBefore: Number.NaN },
      { watchdogMs: Number.POSITIVE_INFINITY },
      { origins: ["not an origin"] },
      { origins: "https://a.example" },
      { baseUrl: 3 },
      { siteKey: "0x4EXAMPLE" },
      { scripturl: "https://a.example" },
      { sessionHeader: "cookie" },
      { sessionHeader: "Authorization" },
    ];
    for (const options of wrong) {
      const given = { ...("sitekey" in options || Object.keys(options).length === 0 ? {} : { sitekey: "0x4EXAMPLE" }), ...options };
      expect(() => createClient(given as unknown as ClientOptions), JSON.stringify(options)).toThrow(TypeError);
    }
    const fine: Partial<ClientOptions> = {
      refreshBefore: 0,
      watchdogMs: 1,
      container: document.body,
      nonce: "n",
      label: "Kontrolle\nhier",
    };
    createClient({ sitekey: "0x4EXAMPLE", ...fine }).close();
  });

  it("does nothing by itself: no request, no node, no timer", () => {
    const { client, sent, states } = make();
    expect([client.state, sent, states, document.scripts.length, vi.getTimerCount()]).toEqual(["idle", [], [], 0, 0]);
  });

  it("labels its layer, hides it, and leaves the page's container as it found it", async () => {
    const { client, turnstile } = make({ label: "Kontrolle" });
    await settle(client.token());
    const layer = document.querySelector<HTMLElement>("body > dialog");
    expect([layer?.getAttribute("aria-label"), layer?.style.visibility, layer?.style.position]).toEqual(["Kontrolle", "hidden", "fixed"]);
    client.close();
    document.body.innerHTML = '<div id="place"><p>kept</p></div>';
    const other = make({ container: "#place" });
    await settle(other.client.token());
    expect(document.querySelector("#place > dialog")?.getAttribute("style")).not.toContain("fixed");
    other.client.close();
    expect(document.body.innerHTML).toBe('<div id="place"><p>kept</p></div>');
    expect(turnstile.live.size + other.turnstile.live.size).toBe(0);
    document.body.innerHTML = "";
  });
});
