// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { clearance } from "../../../src/clearance/index.ts";
import type { PolicyDocument } from "../../../src/clearance/types.ts";
import { withClearance } from "../../../src/client/clearance.ts";
import type { Client } from "../../../src/client/types.ts";
import { EMULATOR_SITEKEY } from "../../../src/emulator/index.ts";
import { ORIGIN, testGate } from "../../helpers/gate.ts";

const limits = { "clearance.issued": [{ name: "issued", limit: 100, window: 60, by: "ip" }] } as const;

/** A client of a real gate, in one process; `sent` says each request to the guarded route, and whether it carried a clearance. */
function connect(policy: PolicyDocument): { client: Client; sent: string[]; solved(): number } {
  const { gate, emulator } = testGate({ features: [clearance({ policy, limits })] });
  const handler = gate.guard(() => Response.json({ ok: true }));
  const sent: string[] = [];
  let solved = 0;
  const send = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input instanceof Request ? input : new URL(String(input), ORIGIN), init);
    const own = await gate.handle(request);
    if (own) return own;
    const answer = await handler(request);
    sent.push(`${new URL(request.url).pathname}${request.headers.has("x-app-clearance") ? " cleared" : ""} ${answer.status}`);
    return answer;
  };
  const inner: Client = {
    state: "idle",
    start: async () => undefined,
    session: async () => "",
    hold: () => () => undefined,
    fetch: send,
    commit: () => Promise.reject(new Error("not asked for")),
    submitScore: () => Promise.reject(new Error("not asked for")),
    qualifies: () => Promise.reject(new Error("not asked for")),
    scores: () => Promise.reject(new Error("not asked for")),
    close: () => undefined,
    async token({ action, cdata } = {}) {
      solved++;
      return emulator.control.mint({
        sitekey: EMULATOR_SITEKEY,
        hostname: "game.example",
        ...(action && { action }),
        ...(cdata && { cdata }),
      });
    },
  };
  return { client: withClearance(inner, { baseUrl: `${ORIGIN}/api`, fetch: send }), sent, solved: () => solved };
}

const get = (client: Client, path: string): Promise<number> =>
  client.fetch(`${ORIGIN}${path}`, { method: "POST" }).then(({ status }) => status);

describe("a clearance is attached to plain paths only", () => {
  const policy: PolicyDocument = {
    always_require_clearance: [
      { path: "/files/*", max_uses: 10 },
      { path: "/files/secret", max_uses: 1 },
    ],
    risk_based: [{ path: "/free/*", scope: "/files/*" }],
  };

  it("an ambiguous path takes no use, and costs no good clearance", async () => {
    const { client, sent, solved } = connect(policy);
    expect(await get(client, "/files/a")).toBe(200);
    sent.length = 0;
    for (const path of ["/files/a%2Fb", "/files/a;b", "/files/a%00", "/files/%ff", "/files/a%5Cb"])
      expect(await get(client, path)).toBe(400);
    expect(sent.filter((line) => line.includes("cleared"))).toEqual([]);
    // Nine are left, and all nine are still there.
    for (let i = 0; i < 9; i++) expect(await get(client, `/files/b${i}`)).toBe(200);
    expect(solved()).toBe(1);
  });

  it("a path that another router takes to another entry gets a clearance of its own, and leaves the good one", async () => {
    const { client, solved } = connect(policy);
    expect(await get(client, "/files/a")).toBe(200);
    for (const path of ["/files/SECRET", "/files//secret", "/files/secre%74", "/files/secret."])
      expect([path, await get(client, path)]).toEqual([path, 200]);
    expect(solved()).toBe(1 + 4);
    for (let i = 0; i < 9; i++) expect(await get(client, `/files/b${i}`)).toBe(200);
    expect(solved()).toBe(1 + 4);
  });

  it("the names of honest files go on with the clearance that is there", async () => {
    const { client, solved, sent } = connect(policy);
    expect(await get(client, "/files/a")).toBe(200);
    sent.length = 0;
    for (const name of ["Report.PDF", "a@b:c,d=e", "it's", "x/y/Z"]) expect(await get(client, `/files/${name}`)).toBe(200);
    expect(sent).toEqual(["Report.PDF", "a@b:c,d=e", "it's", "x/y/Z"].map((name) => `/files/${name} cleared 200`));
    // The encoded one is asked for first, and then gets the clearance that is there.
    expect(await get(client, "/files/caf%C3%A9")).toBe(200);
    expect([solved(), sent.at(-1)]).toEqual([1, "/files/caf%C3%A9 cleared 200"]);
  });

  it("a clearance that is used up is let go", async () => {
    const { client, solved } = connect({ always_require_clearance: [{ path: "/one", max_uses: 1 }] });
    for (let i = 0; i < 3; i++) expect(await get(client, "/one")).toBe(200);
    expect(solved()).toBe(3);
  });
});
