import { beforeEach, describe, expect, it } from "vitest";
import { STATUS } from "../../../src/protocol.ts";
import { bearer, MODERATOR, ORIGIN, type TestGate, testGate } from "../../helpers/gate.ts";

const LIMITS = Object.fromEntries(
  ["session", "scores.read", "scores.write", "scores.commit", "moderation"].map((name) => [
    name,
    [{ name: "test", limit: 1_000_000, window: 60, by: "ip" as const }],
  ]),
);

let at: TestGate;
let token: string;
beforeEach(async () => {
  at = testGate({ limits: LIMITS, session: { uses: 1000 } });
  token = await at.session();
});

/** Every route that reads a body: what it takes, and which credential it needs. */
const ROUTES = [
  { path: "/session", good: { turnstileToken: "token" }, credential: () => ({}) },
  { path: "/scores", good: { score: 5 }, credential: () => bearer(token) },
  { path: "/commitments", good: { board: "main", score: 5 }, credential: () => bearer(token) },
] as const;

async function expectRefusal(answer: Response, status: number, code: keyof typeof STATUS): Promise<void> {
  expect([answer.status, await answer.json()]).toEqual([status, { error: code }]);
  expect(STATUS[code]).toBe(status);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  expect(answer.headers.get("cdn-cache-control")).toBe("no-store");
}

const boardIsEmpty = async (): Promise<void> => expect(await at.board.top({ board: "main", period: "all", limit: 10 })).toEqual([]);

/** A request whose body is a stream, as a client that sends what and when it likes. */
function streamed(path: string, headers: Record<string, string>, source: UnderlyingDefaultSource<Uint8Array>): Promise<Response> {
  const init = {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: new ReadableStream(source),
    duplex: "half",
  };
  return at.gate.fetch(new Request(`${ORIGIN}/api${path}`, init));
}

describe.each(ROUTES)("bad input to $path", ({ path, good, credential }) => {
  it.each([
    ["no body", undefined],
    ["an empty body", ""],
    ["half a body", JSON.stringify(good).slice(0, -3)],
    ["a body that is not JSON", "score=5"],
    ["a text", '"text"'],
    ["null", "null"],
    ["an array", "[]"],
    ["an unknown field", { ...good, admin: true }],
    ["a field that would be a prototype", `{"__proto__":{"score":5}}`],
    ["objects where values belong", Object.fromEntries(Object.keys(good).map((key) => [key, { toString: "x" }]))],
    ["deep JSON", `${"[".repeat(4000)}${"]".repeat(4000)}`],
    ["deep objects", `${'{"score":'.repeat(800)}1${"}".repeat(800)}`],
  ])("%s is 400 BODY_INVALID", async (_, body) => {
    const headers = { "content-type": "application/json", ...credential() };
    await expectRefusal(await at.send("POST", path, body, headers), 400, "BODY_INVALID");
    await boardIsEmpty();
  });

  it("bytes that are not UTF-8 are 400", async () => {
    const bytes = new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]);
    const request = new Request(`${ORIGIN}/api${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...credential() },
      body: bytes,
    });
    await expectRefusal(await at.gate.fetch(request), 400, "BODY_INVALID");
  });

  it("9 kB are 413, by their announced length and by what really comes", async () => {
    const big = JSON.stringify({ ...good, filler: "x".repeat(9_000) });
    await expectRefusal(await at.send("POST", path, big, credential()), 413, "BODY_TOO_LARGE");
    let pulled = 0;
    let cancelled = false;
    const answer = await streamed(path, credential(), {
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(1024).fill(0x20));
      },
      cancel() {
        cancelled = true;
      },
    });
    await expectRefusal(answer, 413, "BODY_TOO_LARGE");
    // The stream is stopped: a client that never ends does not make us read for ever.
    expect(cancelled).toBe(true);
    expect(pulled).toBeLessThan(16);
  });

  it("a body that breaks off is 400", async () => {
    const answer = await streamed(path, credential(), {
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"sc'));
        controller.error(new Error("The connection was lost"));
      },
    });
    await expectRefusal(answer, 400, "BODY_INVALID");
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "text/json; charset=utf-8",
  ])("%s is 415", async (type) => {
    await expectRefusal(await at.send("POST", path, good, { "content-type": type, ...credential() }), 415, "UNSUPPORTED_MEDIA_TYPE");
    await boardIsEmpty();
  });

  it.each(["PUT", "PATCH", "DELETE"])("%s is 405 and says what is allowed", async (method) => {
    const answer = await at.send(method, path, good, credential());
    expect(answer.headers.get("allow")).toContain("POST");
    await expectRefusal(answer, 405, "METHOD_NOT_ALLOWED");
  });

  it.each(["null", "https://evil.example", "https://game.example.evil.example", "http://game.example:8080", "https://GAME.example/"])(
    "a write from origin %s is 403",
    async (origin) => {
      await expectRefusal(await at.send("POST", path, good, { origin, ...credential() }), 403, "ORIGIN_NOT_ALLOWED");
      await boardIsEmpty();
    },
  );
});

describe("scores that are no scores", () => {
  it.each(["NaN", "1e400", "-1e400", "Infinity"])("the literal %s is 400", async (literal) => {
    await expectRefusal(await at.send("POST", "/scores", `{"score":${literal}}`, bearer(token)), 400, "BODY_INVALID");
    await boardIsEmpty();
  });
  it.each([
    ["-0", "-0"],
    ["a string", '"5"'],
    ["a fraction", "1.5"],
    ["beyond safe integers", "9007199254740993"],
    ["true", "true"],
    ["null", "null"],
    ["a list", "[5]"],
  ])("%s is 400, at both routes", async (_, literal) => {
    await expectRefusal(await at.send("POST", "/scores", `{"score":${literal}}`, bearer(token)), 400, "BODY_INVALID");
    await expectRefusal(await at.send("POST", "/commitments", `{"board":"main","score":${literal}}`, bearer(token)), 400, "BODY_INVALID");
    await boardIsEmpty();
  });
  it.each([-1, 2 ** 24, 2 ** 53 - 1])("%d is out of bounds: 422", async (score) => {
    const answer = await at.send("POST", "/scores", { score }, bearer(token));
    expect([answer.status, (await answer.json()).error]).toEqual([422, "SCORE_INVALID"]);
    await boardIsEmpty();
  });
});

describe("hostile names", () => {
  it.each([
    ["empty", ""],
    ["blank", "   "],
    ["a control", "a\u0000b"],
    ["a line break", "a\nb"],
    ["an escape sequence", "\u001b[31mred"],
    ["a bidi override", "abc\u202Etxt.exe"],
    ["a bidi isolate", "a\u2066b\u2069"],
    ["33 code points", "x".repeat(33)],
    ["stacked combining marks", `a${"\u0301\u0316\u0337"}`],
    ["only invisible characters", "\u200B\u200D\u2060"],
  ])("%s is 422", async (_, name) => {
    const answer = await at.send("POST", "/scores", { score: 5, name }, bearer(token));
    expect([answer.status, (await answer.json()).error]).toEqual([422, "NAME_INVALID"]);
    await boardIsEmpty();
  });
  it("a lone surrogate is refused", async () => {
    const answer = await at.send("POST", "/scores", '{"score":5,"name":"a\\ud800b"}', bearer(token));
    expect([400, 422]).toContain(answer.status);
    await boardIsEmpty();
  });
  it("a name in another script is fine, and never comes back as markup", async () => {
    const answer = await at.send("POST", "/scores", { score: 5, name: "Ζωή <b>" }, bearer(token));
    expect(answer.status).toBe(201);
    const list = await at.send("GET", "/scores");
    expect(list.headers.get("content-type")).toMatch(/^application\/json/);
    expect(list.headers.get("x-content-type-options")).toBe("nosniff");
    expect((await list.json()).scores[0].name).toBe("Ζωή <b>");
  });
});

describe("reads and moderation", () => {
  it.each(["limit=0", "limit=101", "limit=1.5", "limit=x", "limit=-1", "period=yesterday", "period=2026-W99", "limit=10&limit=20"])(
    "GET /scores?%s is 400",
    async (query) => {
      const answer = await at.send("GET", `/scores?${query}`);
      expect([answer.status, (await answer.json()).error]).toEqual([400, "BODY_INVALID"]);
    },
  );
  it("an unknown board is 404", async () => {
    await expectRefusal(await at.send("GET", "/scores?board=nowhere"), 404, "NOT_FOUND");
  });
  it.each([
    ["DELETE", ""],
    ["POST", "/hide"],
    ["POST", "/ban"],
    ["POST", "/purge"],
  ])("%s /scores/:id%s needs the moderator's bearer", async (method, suffix) => {
    for (const headers of [{}, bearer("wrong"), bearer(token), { authorization: MODERATOR }, { authorization: "Bearer " }]) {
      const answer = await at.send(method, `/scores/some-id${suffix}`, undefined, headers);
      expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/);
      await expectRefusal(answer, 401, "UNAUTHORIZED");
    }
    await expectRefusal(await at.send(method, `/scores/some-id${suffix}`, undefined, bearer(MODERATOR)), 404, "NOT_FOUND");
  });
});
