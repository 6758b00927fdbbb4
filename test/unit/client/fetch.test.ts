// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SESSION_CODES, STATUS } from "../../../src/protocol.ts";
import { refusal } from "../../helpers/client-server.ts";
import { codeOf, ORIGIN, type Setup, settle, setup, show } from "./setup.ts";

let current: Setup;
const make = (...given: Parameters<typeof setup>): Setup => {
  current = setup(...given);
  return current;
};
const url = `${ORIGIN}/api/x`;

beforeEach(() => {
  vi.useFakeTimers();
  show(true);
});
afterEach(async () => {
  current.client.close();
  await Promise.resolve();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

describe("fetch", () => {
  it.each(SESSION_CODES)("%s: one refresh, one retry with the same body", async (code) => {
    const { client, server } = make();
    await settle(client.start());
    server.refuse("s1", code);
    const answer = await settle(client.fetch(url, { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } }));
    expect(answer.status).toBe(201);
    expect(server.calls("POST /x")).toMatchObject([
      { credential: "s1", body: { a: 1 } },
      { credential: "s2", body: { a: 1 } },
    ]);
  });

  it("no other code is taken for one of the session's", () => {
    expect(
      Object.keys(STATUS)
        .filter((code) => /^SESSION_/.test(code))
        .sort(),
    ).toEqual([...SESSION_CODES].sort());
  });

  it("a second refusal is the answer, never a loop; and 100 refused at once share one refresh", async () => {
    const { client, server, turnstile } = make();
    await settle(client.start());
    server.refuse("s1", "SESSION_EXHAUSTED");
    server.refuse("s2", "SESSION_EXHAUSTED");
    const answers = await settle(Promise.all(Array.from({ length: 100 }, () => client.fetch(url, { method: "POST", body: "x" }))));
    expect(answers.map(({ status }) => status)).toEqual(Array(100).fill(401));
    expect(await answers[0]?.json()).toEqual({ error: "SESSION_EXHAUSTED" });
    expect([turnstile.executed, server.calls("POST /x").length]).toEqual([2, 200]);
  });

  it("another 401, a 403 and a 409 are the caller's", async () => {
    const { client, server } = make();
    for (const [status, code] of [
      [401, "UNAUTHORIZED"],
      [403, "SCOPE_DENIED"],
      [409, "COMMITMENT_USED"],
    ] as const) {
      server.next("POST /x", () => refusal(status, code));
      const answer = await settle(client.fetch(url, { method: "POST" }));
      expect([answer.status, await answer.json()]).toEqual([status, { error: code }]);
    }
    expect(server.calls("POST /x").length).toBe(3);
  });

  it("any body is sent again as it was: stream, form, blob, parameters", async () => {
    const { client, server } = make();
    await settle(client.start());
    const form = new FormData();
    form.set("field", "value");
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("streamed"));
        controller.close();
      },
    });
    for (const init of [{ body, duplex: "half" }, { body: form }, { body: new Blob(["blob"]) }, { body: new URLSearchParams("a=1") }]) {
      server.refuse(server.sessions.at(-1) ?? "", "SESSION_EXPIRED");
      expect((await settle(client.fetch(new Request(url, { method: "POST", ...init })))).status).toBe(201);
    }
    const texts = server.calls("POST /x").map(({ body: sent }) => String(Object(sent).text));
    const [streamed, formed, blob, search] = [0, 2, 4, 6].map((at) => [texts[at], texts[at + 1]]);
    expect([streamed, blob, search]).toEqual([
      ["streamed", "streamed"],
      ["blob", "blob"],
      ["a=1", "a=1"],
    ]);
    expect(formed?.[1]).toContain("value");
    expect(formed?.[0]).toBe(formed?.[1]);
  });

  it("never replaces the caller's Authorization, and keeps its other headers", async () => {
    const { client, server, sent } = make();
    const headers = { authorization: "Bearer of the app", "x-app": "1" };
    await settle(client.fetch(url, { method: "PUT", headers }));
    expect(server.calls("PUT /x")).toMatchObject([{ credential: "s1", authorization: "Bearer of the app" }]);
    expect(sent.at(-1)?.headers.get("x-app")).toBe("1");
  });

  it("a credential is never redirected; a request without one is as the caller wants it", async () => {
    const { client, sent } = make();
    await settle(client.fetch(url, { redirect: "manual" }));
    await settle(client.fetch(url, { method: "POST", redirect: "follow" }));
    await settle(client.fetch(url));
    expect(sent.map(({ method, redirect, headers }) => [method, redirect, headers.has("authorization")])).toEqual([
      ["GET", "manual", false],
      ["POST", "manual", false],
      ["POST", "manual", true],
      ["GET", "manual", true],
    ]);
  });

  it("a read asks for a challenge only when the gate does", async () => {
    const { client, server, turnstile } = make();
    await settle(client.fetch(url));
    expect(turnstile.executed).toBe(0);
    server.next("GET /x", () => refusal(401, "SESSION_MISSING"));
    expect((await settle(client.fetch(url))).status).toBe(200);
    expect(server.calls("GET /x").map(({ credential }) => credential)).toEqual(["", "", "s1"]);
  });

  it("a foreign origin gets nothing, `origins` get the session", async () => {
    const seen: [string, string | null][] = [];
    const answers = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
      const request = new Request(input, init);
      seen.push([new URL(request.url).origin, request.headers.get("authorization")]);
      return request.url.endsWith("/session")
        ? Response.json({ sessionToken: "s1", expiresIn: 300, playerToken: "p" })
        : refusal(401, "SESSION_INVALID");
    };
    const { client } = make({ origins: ["https://scores.example/path"], fetch: answers });
    for (const target of [
      "https://evil.example",
      "https://scores.example",
      "http://scores.example",
      "https://sub.scores.example",
      ORIGIN,
    ]) {
      await settle(client.fetch(`${target}/x`, { method: "POST", body: "x" }));
    }
    const withSession = seen.filter(([, authorization]) => authorization !== null).map(([origin]) => origin);
    expect(new Set(withSession)).toEqual(new Set(["https://scores.example", ORIGIN]));
    // A foreign SESSION_INVALID is foreign: nothing is refreshed, nothing sent again.
    expect(seen.filter(([origin]) => origin === "https://evil.example")).toEqual([["https://evil.example", null]]);
  });

  it("users.md 9: the exchange fails for the client, not the visitor: one write goes with a fresh token and the player", async () => {
    const { client, server } = make({ player: { load: () => "p-old", save: () => {} } });
    server.next("POST /session", () => refusal(429, "RATE_LIMITED"));
    server.next("POST /session", () => new Response("<html>", { status: 502 }));
    await settle(client.fetch(url, { method: "POST" }));
    await settle(client.fetch(url, { method: "POST" }));
    await settle(client.fetch(url, { method: "POST" }));
    expect(server.calls("POST /x").map(({ credential, player }) => [credential, player])).toEqual([
      ["fresh", "p-old"],
      ["fresh", "p-old"],
      ["s1", null],
    ]);
    server.refuse("s1", "SESSION_REVOKED");
    server.next("POST /session", () => refusal(403, "VERIFICATION_FAILED"));
    // Refused for good: the gate's first answer is the caller's.
    expect((await settle(client.fetch(url, { method: "POST" }))).status).toBe(401);
    server.next("POST /session", () => refusal(403, "ORIGIN_NOT_ALLOWED"));
    expect(await codeOf(client.fetch(url, { method: "POST" }))).toBe("ERR_CLIENT_REFUSED");
  });

  it("a write with a fresh token is not repeated: it is good once", async () => {
    const { client, server } = make();
    server.settings.mode = "no-secret";
    server.next("POST /x", () => refusal(401, "SESSION_MISSING"));
    expect((await settle(client.fetch(url, { method: "POST" }))).status).toBe(401);
    expect(server.calls("POST /x").length).toBe(1);
  });

  it("a redirect of what carried a credential is told as such, with the address; one that the caller handles is the caller's", async () => {
    const { client, server } = make();
    const moved = (): Response => new Response(null, { status: 308, headers: { location: "/api/x/" } });
    for (const route of ["POST /x", "POST /x", "POST /scores"]) server.next(route, moved);
    const error: unknown = await settle(client.fetch(url, { method: "POST" }).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "ERR_CLIENT_REDIRECT", message: expect.stringContaining(url) });
    expect((await settle(client.fetch(url, { method: "POST", redirect: "manual" }))).status).toBe(308);
    expect(await codeOf(client.submitScore({ score: 1 }))).toBe("ERR_CLIENT_REDIRECT");
    server.refuse("s1", "SESSION_EXPIRED");
    server.next("POST /session", moved);
    client.close();
    const other = make();
    other.server.next("POST /session", moved);
    expect(await codeOf(other.client.session())).toBe("ERR_CLIENT_REDIRECT");
  });

  it("the session goes in the header that the option names", async () => {
    const { client, server } = make({ sessionHeader: "x-gatepass-session" });
    await settle(client.fetch(url, { method: "POST" }));
    expect(server.calls("POST /x")).toMatchObject([{ credential: "s1", authorization: null }]);
  });

  it("an abort ends the wait, and not the challenge of the others", async () => {
    const { client, server } = make();
    const abort = new AbortController();
    const mine = client.fetch(url, { method: "POST", signal: abort.signal }).catch((error: unknown) => error);
    const other = client.fetch(url, { method: "POST" });
    abort.abort("enough");
    expect(await mine).toMatchObject({ code: "ERR_CLIENT_ABORTED", cause: "enough" });
    expect((await settle(other)).status).toBe(201);
    expect(server.calls("POST /session").length).toBe(1);
  });

  it("every rejection has a code: the network's, an abort's, a bad call's, and that of a client that is closed", async () => {
    const { client, server } = make();
    await settle(client.start());
    server.next("POST /x", () => Promise.reject(new TypeError("Failed to fetch")));
    const error: unknown = await settle(client.fetch(url, { method: "POST" }).catch((reason: unknown) => reason));
    expect(error).toMatchObject({ code: "ERR_CLIENT_OFFLINE", cause: expect.any(TypeError) });
    server.next("POST /x", () => new Promise(() => {}));
    const abort = new AbortController();
    const sent = client.fetch(url, { method: "POST", signal: abort.signal });
    await vi.waitFor(() => expect(server.calls("POST /x").length).toBe(2));
    abort.abort();
    expect(await codeOf(sent)).toBe("ERR_CLIENT_ABORTED");
    expect(await codeOf(client.fetch(url, { method: "GET", body: "x" }))).toBe("ERR_CLIENT_CONFIG");
    expect(await codeOf(client.fetch("https://elsewhere.example:99999"))).toBe("ERR_CLIENT_CONFIG");
    // @ts-expect-error: a number that JSON does not know
    expect(await codeOf(client.submitScore({ score: 1n }))).toBe("ERR_CLIENT_CONFIG");
    // @ts-expect-error: no entry
    expect(await codeOf(client.submitScore())).toBe("ERR_CLIENT_CONFIG");
    server.next("POST /x", () => new Promise(() => {}));
    const pending = client.fetch(url, { method: "POST" });
    client.close();
    expect(await codeOf(pending)).toBe("ERR_CLIENT_CLOSED");
  });
});
