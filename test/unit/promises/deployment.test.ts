import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { place } from "../../../demo/place.ts";
import { createGate, optionsFromEnv } from "../../../src/gate/index.ts";
import { memoryStore } from "../../../src/store/index.ts";
import { root } from "../../helpers/sources.ts";
import { bearer, codeOf, kit } from "../scores/kit.ts";

const turnstile = { secret: "0x4AAAAAAA-a-real-secret", allowedHostnames: ["game.example"] };

describe("secrets", () => {
  it("`openssl rand -base64 48` and `gatepass secret` make good ones; a line end that came along is refused, not signed with", async () => {
    const made = [
      Buffer.from(crypto.getRandomValues(new Uint8Array(48))).toString("base64"),
      execFileSync(process.execPath, [`${root}src/cli/index.ts`, "secret"], { encoding: "utf8" }).trim(),
    ];
    for (const secret of made) {
      expect(secret).toMatch(/^[\w+/-]{64}$/);
      const gate = createGate({ secrets: secret, turnstile });
      expect((await gate.check()).map(({ code }) => code)).toEqual(["GP104"]);
      for (const spoilt of [`${secret}\n`, ` ${secret}`]) expect(() => createGate({ secrets: spoilt, turnstile })).toThrow(/white space/i);
    }
    expect(made[0]).not.toBe(made[1]);
  });

  it("the demo's example of an environment names all that is read, and gives no secret away", () => {
    const text = readFileSync(`${root}demo/.env.example`, "utf8");
    const given = Object.fromEntries([...text.matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name = "", value = ""]) => [name, value]));
    const sources = ["src/gate/env.ts", "demo/gate.ts", "demo/place.ts"].map((file) => readFileSync(root + file, "utf8")).join("\n");
    const read = new Set([...sources.matchAll(/(?:env, |env\[)"([A-Z_]+)"/g)].map(([, name]) => name));
    expect(Object.keys(given).sort()).toEqual([...read].sort());
    expect(Object.entries(given).filter(([, value]) => value !== "")).toEqual([["NODE_ENV", "production"]]);
    expect(optionsFromEnv(given)).toEqual({ turnstile: { secret: [] } });
    expect(readFileSync(`${root}.gitignore`, "utf8").split("\n")).toContain(".env");
    // An empty value is not set: a copy that was not filled in must not open a board that nobody finds again.
    expect(place(given)).toEqual(place({}));
    const said = { PORT: "0", HOST: "0.0.0.0", DEMO_DB: "x.sqlite", DEMO_KV: "x.kv", STORE: "redis://127.0.0.1:6379" };
    expect(place(said)).toEqual({ host: "0.0.0.0", port: 0, database: "x.sqlite", kv: "x.kv", redis: new URL(said.STORE) });
  });
});

describe("a restart of a process that counts in memory", () => {
  it("its sessions are over, not forgotten: 401 SESSION_EXPIRED, and a new one works at once", async () => {
    const before = kit({}, { session: { uses: 1 } });
    const { token, playerToken, sub } = await before.player();
    expect((await before.submit({ score: 1 }, token)).status).toBe(201);
    before.advance(2000);
    const now = Date.UTC(2026, 10, 20, 12) + 2000;
    const after = kit({}, { session: { uses: 1 }, store: memoryStore({ clock: () => now }) });
    after.advance(2000);
    expect(await codeOf(await after.submit({ score: 2 }, token))).toEqual([401, "SESSION_EXPIRED"]);
    expect(after.events.find(({ type }) => type === "session_rejected")).toMatchObject({ reason: "forgotten" });
    const again = await after.player(playerToken);
    expect(again.sub).toBe(sub);
    expect((await after.submit({ score: 2 }, again.token)).status).toBe(201);
  });
});

describe("a store whose clock is not ours", () => {
  it.each([
    [4_000, []],
    [-4_000, []],
    [6_000, ["clock_skew"]],
    [-6_000, ["clock_skew"]],
  ])("%i ms off: %j", async (off, warned) => {
    const at = kit({}, { store: memoryStore({ clock: () => Date.UTC(2026, 10, 20, 12) + off }) });
    await at.send("GET", "/scores");
    await at.send("GET", "/scores");
    expect(at.events.filter(({ reason }) => reason === "clock_skew").map(({ reason }) => reason)).toEqual(warned);
  });
});

describe("a budget of siteverify calls for everybody together", () => {
  it("is a limit like any other", async () => {
    const everybody = { name: "siteverify", limit: 5, window: 60, by: () => "all" };
    let address = 0;
    const at = kit({}, { limits: { session: [everybody] }, clientIp: () => `198.51.100.${address++}` });
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => at.send("POST", "/session", { turnstileToken: await at.mint() })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
    expect(at.emulator.control.counts().siteverify).toBe(5);
  });
});

describe("what a moderator and a rotation do to what is out there", () => {
  it("a new secret beside the old one keeps sessions, commitments and players; without the old one all are refused", async () => {
    const [old, fresh] = ["the first signing secret of at least 32 bytes", "another signing secret, 32 bytes and a few more"];
    const before = kit({}, { secrets: old });
    const { token, playerToken, sub } = await before.player();
    const commitment = await before.commit(7, token);
    const during = kit({}, { secrets: [fresh, old], store: before.store });
    expect((await during.submit({ commitment }, token)).status).toBe(201);
    expect((await during.player(playerToken)).sub).toBe(sub);
    const after = kit({}, { secrets: fresh, store: before.store });
    expect(await codeOf(await after.submit({ score: 8 }, token))).toEqual([401, "SESSION_INVALID"]);
    expect(await codeOf(await after.send("POST", "/commitments", { score: 8 }, bearer(token)))).toEqual([401, "SESSION_INVALID"]);
    expect(await codeOf(await after.submit({ commitment }))).toEqual([422, "COMMITMENT_INVALID"]);
    expect((await after.player(playerToken)).sub).not.toBe(sub);
  });
});
