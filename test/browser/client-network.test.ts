import { describe, expect, it } from "vitest";
import { closedAfterEach, describeBrowsers } from "../helpers/browsers.ts";
import { type ClientPage, type ClientSetup, openClientPage } from "../helpers/client-page.ts";

const code = (call: string): string => `return ${call}.then(() => "no error", (error) => error.code);`;

describeBrowsers("the client and the network", (browser) => {
  const opened = closedAfterEach<ClientPage>();
  const withClient = async (more = "", setup?: ClientSetup): Promise<ClientPage> => {
    const site = opened(await openClientPage(browser(), setup));
    await site.run(`window.client = createClient({ ...options, ${more} });`);
    return site;
  };

  describe("navigator.onLine is a hint", () => {
    const says = (value: string): string => `Object.defineProperty(Navigator.prototype, "onLine", { get: () => ${value} });`;

    it.each(["false", "undefined"])("%s all the time, as in some WebViews and behind some VPNs: everything works", async (value) => {
      const site = await withClient("", { script: says(value) });
      expect(await site.run("return client.submitScore({ score: 1 });")).toMatchObject({ rank: 1 });
      expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
      // Also what one more widget mends.
      site.emulator.control.fault({ kind: "error", code: 300030 });
      expect(await site.run("return (await client.token()).length;")).toBeGreaterThan(10);
      expect([site.said, site.thrown]).toEqual([[], []]);
    });

    it("whatever it says, offline is told once a request has failed: a script, a frame, an exchange, a write", async () => {
      const site = await withClient("watchdogMs: 600");
      await site.run(says("false"));
      site.emulator.control.fault({ kind: "block-script" });
      expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_OFFLINE");
      site.emulator.control.fault({ kind: "block-frame" });
      expect(await site.run("return client.token().catch((error) => [error.code, error.cause.code, client.state]);")).toEqual([
        "ERR_CLIENT_OFFLINE",
        "ERR_CLIENT_BLOCKED",
        "blocked",
      ]);
      await site.run(says("true"));
      site.emulator.control.fault({ kind: "block-frame" });
      expect(await site.run(code("client.token()"))).toBe("ERR_CLIENT_BLOCKED");
      // Twice: a browser sends again what was cut on a connection that it had used before.
      for (let i = 0; i < 2; i++) site.api.next("POST /session", () => Promise.reject(new Error("cut")));
      expect(await site.run(code("client.session()"))).toBe("ERR_CLIENT_OFFLINE");
      await site.run("await client.session();");
      for (let i = 0; i < 2; i++) site.api.next("POST /scores", () => Promise.reject(new Error("cut")));
      expect(await site.run(code("client.submitScore({ score: 1 })"))).toBe("ERR_CLIENT_OFFLINE");
    });
  });

  it.each(["POST /session", "POST /scores", "POST /commitments"])(
    "a 308 of %s to a trailing slash is a refused redirect, and the error names the address",
    async (route) => {
      const site = await withClient();
      const path = `/api${route.slice(5)}`;
      site.api.next(route, () => new Response(null, { status: 308, headers: { location: `${path}/` } }));
      const call = route === "POST /commitments" ? "client.commit({ score: 1 })" : "client.submitScore({ score: 1 })";
      const [failed, message] = await site.run<string[]>(`return ${call}.catch((error) => [error.code, error.message]);`);
      expect([failed, message]).toEqual(["ERR_CLIENT_REDIRECT", expect.stringContaining(`${site.site}${path}`)]);
      // Nothing went where it led.
      expect(site.api.log.map((line) => line.path)).not.toContain(`${path.slice(4)}/`);
      expect(await site.run(`return ${call}.then(() => "works");`)).toBe("works");
    },
  );

  it("a read without a session follows a redirect, as fetch does", async () => {
    const site = await withClient();
    site.api.next("GET /scores", () => new Response(null, { status: 308, headers: { location: "/api/scores/" } }));
    expect(await site.run("return client.scores();")).toEqual({ scores: [] });
  });

  it("every member of the caller's request and init survives, on the way with a session and on the retry", async () => {
    const site = await withClient();
    site.api.refuse("s1", "SESSION_EXPIRED");
    const inits: Record<string, unknown>[] = [
      { referrerPolicy: "no-referrer" },
      { referrerPolicy: "unsafe-url", referrer: "/a/page?of=ours" },
      { referrer: "" },
      { cache: "no-store", credentials: "omit", mode: "same-origin" },
      { integrity: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", keepalive: true },
      { headers: { "x-own": "1" }, method: "PUT", body: "text" },
    ];
    const results = await site.run<{ wanted: unknown[]; got: unknown[][] }[]>(`
      const members = ["method", "url", "mode", "credentials", "cache", "referrer", "referrerPolicy", "integrity", "keepalive"];
      const text = async (request) => [...members.map((name) => request[name]), request.headers.get("x-own"), await request.clone().text()];
      const results = [];
      for (const init of ${JSON.stringify(inits)}) for (const form of ["init", "request"]) {
        const given = { method: "POST", body: "", ...init };
        const got = [];
        let sessions = 0;
        const own = createClient({ ...options, fetch: async (input, more) => {
          const request = input instanceof Request ? input : new Request(input, more);
          if (request.url.endsWith("/session")) return new Response(JSON.stringify({ sessionToken: "s" + ++sessions, expiresIn: 300 }));
          got.push(await text(request));
          return got.length === 1 ? new Response('{"error":"SESSION_EXPIRED"}', { status: 401 }) : new Response("{}");
        } });
        const make = () => form === "init" ? ["/api/x", given] : [new Request("/api/x", given)];
        await own.fetch(...make());
        own.close();
        // What the browser's own fetch makes of it.
        results.push({ wanted: await text(new Request(...make())), got });
      }
      return results;`);
    for (const { wanted, got } of results) expect(got).toEqual([wanted, wanted]);
    expect(results.length).toBe(inits.length * 2);
  });

  it("what the server sees of them: the referrer, and no cookie where none is wanted", async () => {
    const seen: (string | null)[][] = [];
    const site = await withClient("", {
      gate: () => async (request) => {
        if (request.url.endsWith("/session")) return Response.json({ sessionToken: "s1", expiresIn: 300 });
        seen.push([request.headers.get("referer"), request.headers.get("cookie"), request.headers.get("authorization")]);
        return Response.json({});
      },
    });
    await site.run(`document.cookie = "a=1";
      await client.fetch("/api/x", { method: "POST", referrerPolicy: "no-referrer" });
      await client.fetch("/api/x", { method: "POST", referrer: "/game?level=3" });
      await client.fetch(new Request("/api/x", { method: "POST", credentials: "omit", referrerPolicy: "origin" }));`);
    expect(seen).toEqual([
      [null, "a=1", "Bearer s1"],
      [`${site.site}/game?level=3`, "a=1", "Bearer s1"],
      [`${site.site}/`, null, "Bearer s1"],
    ]);
  });
});
