import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ipRanges } from "../../../src/cli/ip-ranges.ts";
import { lock, writeText } from "../../../src/cli/ip-ranges-files.ts";
import { FORMATS } from "../../../src/cli/ip-ranges-format.ts";
import { readOptions } from "../../../src/cli/ip-ranges-options.ts";
import { family, formatState, type Plan, parseList, parseState, planUpdate } from "../../../src/cli/ip-ranges-plan.ts";
import { RunFailure, update } from "../../../src/cli/ip-ranges-run.ts";
import { CLOUDFLARE_RANGES, inCidr, parseCidr } from "../../../src/util/ip.ts";
import { type Served, serve } from "../../helpers/serve.ts";
import { root } from "../../helpers/sources.ts";

const KNOWN = [...CLOUDFLARE_RANGES];
/** Public, and not Cloudflare's. */
const NEW = "9.9.9.0/24";
const OLD = "131.0.72.0/22";
const inOrder = (ranges: readonly string[]): readonly string[] => planUpdate(ranges, ranges).target;
const without = (range: string): string[] => KNOWN.filter((one) => one !== range);

describe("a published list", () => {
  const lines = (ranges: readonly string[]): string => `${ranges.join("\n")}\n`;
  const v4 = family(KNOWN, 4);

  it("is a range a line", () => {
    expect(parseList(lines(v4), 4)).toEqual(family(inOrder(KNOWN), 4));
    expect(parseList(lines(family(KNOWN, 6)).replaceAll("\n", "\r\n\n"), 6)).toEqual(family(inOrder(KNOWN), 6));
    expect(parseList(lines([...v4, ...v4]), 4)).toHaveLength(15);
    expect(parseList(lines([...family(KNOWN, 6), "2606:4700:0:0::/32", "2A06:98C0::/32"]), 6)).toEqual(family(inOrder(KNOWN), 6));
  });

  it.each([
    ["nothing", "", /0 ranges/],
    ["white space", " \n\n", /0 ranges/],
    ["a page", "<!doctype html>\n<title>Just a moment...</title>", /no range/],
    ["too few", lines(v4.slice(0, 4)), /4 ranges/],
    ["too many", lines(Array.from({ length: 201 }, (_, i) => `104.16.${i}.0/24`)), /201 ranges/],
    ["everybody", lines([...v4, "0.0.0.0/0"]), /bits/],
    ["half of everybody", lines([...v4, "128.0.0.0/1"]), /bits/],
    ["a single address", lines([...v4, "8.8.8.8/32"]), /bits/],
    ["no length", lines([...v4, "8.8.8.8"]), /no range/],
    ["the other family", lines([...v4, "2606:4700::/32"]), /no range of IPv4/],
    ["the other family in disguise", lines([...v4, "::ffff:8.8.8.0/120"]), /no range of IPv4|no range/],
    ["not the start of a range", lines([...v4, "8.8.8.8/24"]), /start/],
    ["leading zeros", lines([...v4, "010.8.8.0/24"]), /no range/],
    ["a comment behind it", lines([...v4, "8.8.8.0/24 # ours"]), /no range/],
    ["an instruction of nginx", lines([...v4, "8.8.8.0/24; deny all"]), /no range/],
    ["control characters", lines([...v4, "\u001b[2J8.8.8.0/24"]), /\\u001b/],
  ])("is refused: %s", (_name, text, message) => {
    expect(() => parseList(text, 4)).toThrow(RangeError);
    expect(() => parseList(text, 4)).toThrow(message);
  });

  it.each([
    "10.0.0.0/10",
    "10.1.0.0/16",
    "100.64.0.0/10",
    "127.0.0.0/16",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "172.20.0.0/16",
    "192.0.2.0/24",
    "192.168.1.0/24",
    "198.18.0.0/16",
    "203.0.113.0/24",
    "224.0.0.0/10",
    "240.0.0.0/10",
    "192.0.0.0/10",
    "192.128.0.0/10",
  ])("is refused with what is not public: %s", (range) => {
    expect(() => parseList(lines([...v4, range]), 4)).toThrow(/no public range/);
  });

  it.each(["fc00::/20", "fe80::/32", "ff02::/32", "2001:db8::/32", "2002::/24", "64:ff9b::/32", "2001::/32", "3fff::/24"])(
    "is refused with what is not public: %s",
    (range) => {
      expect(() => parseList(lines([...family(KNOWN, 6), range]), 6)).toThrow(/no public range/);
    },
  );
});

describe("the plan", () => {
  it("is empty when nothing changed", () => {
    expect(planUpdate(KNOWN, [...KNOWN].reverse())).toEqual({ union: inOrder(KNOWN), target: inOrder(KNOWN), added: [], stale: [] });
  });

  it("adds and removes", () => {
    const plan = planUpdate(KNOWN, [...without(OLD), NEW]);
    expect(plan).toMatchObject({ added: [NEW], stale: [OLD], union: inOrder([...KNOWN, NEW]), target: inOrder([...without(OLD), NEW]) });
  });

  it("does not take joined or split ranges for lost ones, and lists none inside another", () => {
    const halves = ["162.158.0.0/16", "162.159.0.0/16"];
    const split = [...without("162.158.0.0/15"), ...halves];
    expect(planUpdate(KNOWN, split).union).toEqual(inOrder(KNOWN));
    expect(planUpdate(split, KNOWN)).toMatchObject({ union: inOrder(KNOWN), stale: [], added: ["162.158.0.0/15"] });
    const quarters = KNOWN.flatMap((range) => {
      const { bits = 0 } = parseCidr(range) ?? {};
      return range.includes(":") || bits > 20 ? [range] : [range.replace(/\d+$/, String(bits + 1)), upper(range, bits)];
    });
    expect(() => planUpdate(KNOWN, quarters)).not.toThrow();
  });

  it("is refused when more than half of a family is gone, whatever the other has", () => {
    const v6 = family(KNOWN, 6);
    const some = family(KNOWN, 4).slice(0, 7);
    expect(() => planUpdate(KNOWN, [...some, ...v6])).toThrow(/7 of 15 known ranges of IPv4/);
    expect(() => planUpdate(KNOWN, family(KNOWN, 4))).toThrow(/IPv6/);
    expect(() => planUpdate(KNOWN, v6)).toThrow(/IPv4/);
    expect(() => planUpdate(KNOWN, [...family(KNOWN, 4).slice(0, 8), ...v6])).not.toThrow();
    // As many as before, of somebody else.
    expect(() => planUpdate(KNOWN, [...v6, ...Array.from({ length: 15 }, (_, i) => `23.${i}.0.0/16`)])).toThrow(/less than half/);
  });

  it("is refused when it grows out of bounds", () => {
    expect(() => planUpdate(KNOWN, [...KNOWN, "44.0.0.0/10", "52.0.0.0/10"])).toThrow(/4 times/);
  });

  const range = fc.oneof(
    fc.tuple(fc.integer({ min: 0x17000000, max: 0x1fffffff }), fc.integer({ min: 16, max: 24 })).map(([n, bits]) => {
      const at = (n & (-1 << (32 - bits))) >>> 0;
      return `${[24, 16, 8, 0].map((shift) => (at >>> shift) & 255).join(".")}/${bits}`;
    }),
    fc.integer({ min: 0x2600, max: 0x27ff }).map((n) => `${n.toString(16)}::/32`),
  );
  const change = fc.record({ gone: fc.subarray(KNOWN, { maxLength: 3 }), more: fc.array(range, { maxLength: 20 }) });

  it("holds whatever is published: the union has both, the target what is published, nothing is in anything else", () => {
    fc.assert(
      fc.property(change, change, (was, is) => {
        const known = [...KNOWN.filter((one) => !was.gone.includes(one)), ...was.more];
        const published = [...KNOWN.filter((one) => !is.gone.includes(one)), ...is.more];
        const made = attempt(() => planUpdate(known, published));
        if (made === null) return;
        expect([...known, ...published].filter((one) => !isCovered(one, made.union))).toEqual([]);
        expect(published.filter((one) => !isCovered(one, made.target))).toEqual([]);
        expect(made.target.filter((one) => !isCovered(one, published))).toEqual([]);
        expect(made.union.filter((one) => made.union.some((other) => other !== one && isCovered(one, [other])))).toEqual([]);
        expect(made.union.length > 0 && made.target.length > 0).toBe(true);
        for (const version of [4, 6] as const) expect(family(made.target, version).length).toBeGreaterThan(0);
        expect(made.stale.every((one) => made.union.includes(one) && !made.target.includes(one))).toBe(true);
        expect(planUpdate(made.target, published)).toMatchObject({ added: [], stale: [] });
      }),
    );
  });

  it("an update adds first, removes between two health checks only, and is never without what Cloudflare may come from", async () => {
    await fc.assert(
      fc.asyncProperty(
        change,
        fc.boolean(),
        fc.array(fc.boolean(), { maxLength: 4 }),
        fc.array(fc.boolean(), { maxLength: 4 }),
        async (is, checks, puts, healths) => {
          const published = [...KNOWN.filter((one) => !is.gone.includes(one)), ...is.more];
          const made = attempt(() => planUpdate(KNOWN, published));
          if (made === null) return;
          let force: readonly string[] = inOrder(KNOWN);
          let seenWell = false;
          const removals: boolean[] = [];
          const put = async (ranges: readonly string[]): Promise<boolean> => {
            if (puts.shift() === false) throw new RunFailure("apply", "no");
            for (const one of made.target) expect(isCovered(one, ranges)).toBe(true);
            if (force.some((one) => !isCovered(one, ranges))) removals.push(seenWell);
            const differs = ranges.join() !== force.join();
            force = ranges;
            return differs;
          };
          const healthy = async (): Promise<void> => {
            seenWell = healths.shift() !== false;
            if (!seenWell) throw new RunFailure("health", "no");
          };
          const end = await update(made, { put, healthy: checks ? healthy : null }).catch((error: RunFailure) => error);
          expect(removals).toEqual(made.stale.length > 0 && removals.length > 0 ? [true] : []);
          for (const version of [4, 6] as const) expect(family(force, version).length).toBeGreaterThan(0);
          if (end instanceof RunFailure) {
            if (end.exitCode !== 6) for (const one of KNOWN) expect(isCovered(one, force)).toBe(true);
          } else {
            expect(force).toEqual(checks ? made.target : made.union);
            expect([end.ranges, end.removed]).toEqual([force, checks ? made.stale : []]);
          }
        },
      ),
    );
  });
});

describe("what is written", () => {
  const ranges = inOrder(KNOWN);

  it.each([
    ["nginx-realip", /^set_real_ip_from 173\.245\.48\.0\/20;$/m, /\nreal_ip_header CF-Connecting-IP;\n$/],
    ["nginx-allow", /^allow 2400:cb00::\/32;$/m, /\ndeny all;\n$/],
    ["nginx-geo", /^ {4}173\.245\.48\.0\/20 1;$/m, /^geo \$realip_remote_addr \$from_cloudflare \{\n {4}default 0;$/m],
    [
      "nftables",
      /^add set inet gatepass cloudflare6 \{ type ipv6_addr; flags interval; \}\nflush set inet gatepass cloudflare6$/m,
      /^add element inet gatepass cloudflare4 \{\n/m,
    ],
  ] as const)("%s has every range once", (format, ...patterns) => {
    const text = FORMATS[format](ranges);
    for (const pattern of patterns) expect(text).toMatch(pattern);
    for (const one of ranges) expect(text.split(` ${one}`)).toHaveLength(2);
    expect(text.startsWith("# ")).toBe(true);
  });

  it("json has the families apart", () => {
    expect(JSON.parse(FORMATS.json(ranges))).toEqual({ v4: family(ranges, 4), v6: family(ranges, 6) });
  });

  it("a state is read back, and only a sane one", () => {
    expect(parseState(formatState(KNOWN))).toEqual(ranges);
    for (const text of [
      "",
      "{",
      "null",
      "[]",
      '{"v":2,"ranges":[]}',
      '{"v":1,"ranges":[]}',
      formatState(["0.0.0.0/0"]),
      formatState([...KNOWN, "10.0.0.0/16"]),
    ]) {
      expect(() => parseState(text)).toThrow(RangeError);
    }
  });
});

describe("gatepass ip-ranges", () => {
  let folder: string;
  let cloudflare: Served;
  let lists: { v4: string; v6: string };
  let answer: (path: string) => Response | Promise<Response> | undefined;
  let alerts: Record<string, unknown>[];
  let told: string[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "gatepass-ranges-"));
    lists = publish(KNOWN);
    answer = () => undefined;
    alerts = [];
    told = [];
    cloudflare = await serve(async (request) => {
      const { pathname } = new URL(request.url);
      const special = await answer(pathname);
      if (special) return special;
      if (pathname === "/alert") {
        alerts.push(await request.json());
        return new Response(null, { status: 204 });
      }
      if (pathname === "/health") return new Response("ok", { headers: { "cf-ray": "8c1f" } });
      return new Response(pathname === "/ips-v4" ? lists.v4 : lists.v6, { headers: { "content-type": "text/plain" } });
    });
    // What stands for `nginx -t && nginx -s reload`: notes each run with what the file had, and fails while there is a file that says so.
    writeFileSync(
      at("apply.sh"),
      `mkdir -p log; n=$(ls log | wc -l); echo "$GATEPASS_STEP" > log/$((n + 100)); if [ -e out.conf ]; then cat out.conf >> log/$((n + 100)); fi
       if [ -e broken ] && grep -q "$GATEPASS_STEP" broken; then echo "[emerg] no such thing" >&2; echo "line 7: secret" >&2; exit 9; fi`,
    );
  });
  afterEach(async () => {
    await cloudflare.close();
    rmSync(folder, { recursive: true });
  });

  const at = (name: string): string => join(folder, name);
  const publish = (ranges: readonly string[]): typeof lists => ({ v4: family(ranges, 4).join("\n"), v6: family(ranges, 6).join("\n") });
  const sources = (): string[] => [
    "--v4",
    `${cloudflare.url}/ips-v4`,
    "--v6",
    `${cloudflare.url}/ips-v6`,
    "--alert",
    `${cloudflare.url}/alert`,
  ];
  const kept = (): string[] => [
    ...["--state", at("state.json"), "--out", `nginx-allow=${at("out.conf")}`],
    ...["--apply", `cd ${JSON.stringify(folder)} && sh apply.sh`],
  ];
  const health = (): string[] => ["--health", `${cloudflare.url}/health`, "--pause", "0", "--tries", "4"];
  const run = (...args: string[]): Promise<string> => ipRanges(readOptions([...sources(), ...args]), fetch, (text) => told.push(text));
  const fails = async (...args: string[]): Promise<RunFailure> => {
    const error: unknown = await run(...args).then(
      () => undefined,
      (failure: unknown) => failure,
    );
    if (!(error instanceof RunFailure)) throw new Error(`It did not fail: ${error}`);
    return error;
  };
  const out = (): string => readFileSync(at("out.conf"), "utf8");
  const inForce = (): string[] => parseState(readFileSync(at("state.json"), "utf8"));
  const applied = (): string[][] =>
    (existsSync(at("log")) ? readdirSync(at("log")).sort() : []).map((name) => {
      const [step = "", ...lines] = readFileSync(at(`log/${name}`), "utf8").split("\n");
      return [step, lines.join("\n")];
    });
  const steps = (): string[] => applied().map(([step = ""]) => step);
  let requests: string[] = [];
  const asked = (path: string): number => requests.filter((one) => one === path).length;
  const watch = (then: typeof answer = () => undefined): void => {
    requests = [];
    answer = (path) => {
      requests.push(path);
      return then(path);
    };
  };

  it("prints what is published, in each format, and writes nothing", async () => {
    lists = publish([...KNOWN, NEW]);
    expect(JSON.parse(await run())).toEqual({
      v4: family(inOrder([...KNOWN, NEW]), 4),
      v6: family(inOrder(KNOWN), 6),
      changed: false,
      added: [NEW],
      removed: [],
      stale: [],
    });
    for (const format of ["nginx-realip", "nginx-allow", "nginx-geo", "nftables"] as const) {
      expect(await run("--format", format)).toBe(FORMATS[format](inOrder([...KNOWN, NEW])));
    }
    expect(readdirSync(folder)).toEqual(["apply.sh"]);
  });

  it("keeps files: writes and applies once, then does nothing until something changes", async () => {
    watch();
    await run(...kept(), ...health());
    expect(out()).toBe(FORMATS["nginx-allow"](inOrder(KNOWN)));
    expect(applied()).toEqual([["add", out()]]);
    expect(asked("/health")).toBe(3);
    const before = statSync(at("out.conf")).mtimeMs;
    await run(...kept(), ...health());
    expect([steps(), asked("/health"), statSync(at("out.conf")).mtimeMs, alerts]).toEqual([["add"], 3, before, []]);
    expect(readdirSync(folder).sort()).toEqual(["apply.sh", "log", "out.conf", "state.json"]);
  });

  it("adds first, and removes what is stale after the origin was seen well", async () => {
    await run(...kept(), ...health());
    lists = publish([...without(OLD), NEW]);
    watch();
    const report = JSON.parse(await run(...kept(), ...health()));
    expect(report).toMatchObject({ changed: true, added: [NEW], removed: [OLD], stale: [] });
    expect(applied().slice(1)).toEqual([
      ["add", FORMATS["nginx-allow"](inOrder([...KNOWN, NEW]))],
      ["remove", FORMATS["nginx-allow"](inOrder([...without(OLD), NEW]))],
    ]);
    expect([asked("/health"), inForce()]).toEqual([6, inOrder([...without(OLD), NEW])]);
    expect(told.at(-1)).toBe(`Added: ${NEW}. Removed: ${OLD}`);
  });

  it("never removes without a health check, and says so", async () => {
    await run(...kept());
    for (let i = 0; i < 2; i++) {
      lists = publish(without(OLD));
      expect(JSON.parse(await run(...kept()))).toMatchObject({ removed: [], stale: [OLD] });
      expect([inForce(), steps()]).toEqual([inOrder(KNOWN), ["add"]]);
      expect(told.at(-1)).toContain(`kept for want of --health: ${OLD}`);
    }
    await run(...kept(), ...health());
    expect(inForce()).toEqual(inOrder(without(OLD)));
  });

  it.each([
    ["is down", () => new Response(null, { status: 521, headers: { "cf-ray": "8c1f" } }), /Answered 521 \(4 tries\)/],
    ["answers past Cloudflare", () => new Response("ok"), /without CF-Ray/],
    ["answers out of the cache", () => new Response("ok", { headers: { "cf-ray": "8c1f", "cf-cache-status": "HIT" } }), /cache \(HIT\)/],
    ["redirects to a page that works", () => Response.redirect("https://status.example/"), /Answered 302/],
  ])("an origin that %s keeps its stale ranges, and somebody is told", async (_name, ill, message) => {
    await run(...kept(), ...health());
    lists = publish([...without(OLD), NEW]);
    answer = (path) => (path === "/health" ? ill() : undefined);
    const error = await fails(...kept(), ...health());
    expect(error.exitCode).toBe(4);
    expect(error.message).toMatch(message);
    expect([inForce(), steps()]).toEqual([inOrder([...KNOWN, NEW]), ["add", "add"]]);
    expect(alerts).toEqual([
      {
        type: "ip_ranges_failed",
        at: expect.any(String),
        host: expect.any(String),
        text: expect.stringMatching(message),
        added: [NEW],
        stale: [OLD],
      },
    ]);
    answer = () => undefined;
    await run(...kept(), ...health());
    expect(inForce()).toEqual(inOrder([...without(OLD), NEW]));
  });

  it("wants good answers in a row, and gives a shaky origin several tries", async () => {
    await run(...kept());
    lists = publish(without(OLD));
    let i = 0;
    answer = (path) => (path === "/health" && i++ % 4 === 0 ? new Response(null, { status: 502 }) : undefined);
    await run(...kept(), ...health());
    expect([i, inForce()]).toEqual([8, inOrder(without(OLD))]);
    lists = publish(without("103.31.4.0/22"));
    answer = (path) => (path === "/health" && i++ % 2 === 0 ? new Response(null, { status: 502 }) : undefined);
    const error = await fails(...kept(), ...health(), "--tries", "9");
    expect([error.exitCode, error.message]).toEqual([4, expect.stringContaining("Answered 502 (9 tries)")]);
    answer = (path) => (path === "/health" && i++ % 3 === 0 ? new Response(null, { status: 502 }) : undefined);
    i = 0;
    expect((await fails(...kept(), ...health(), "--tries", "9")).message).toContain("only now and then (9 tries)");
  });

  it("an origin that is ill after a removal gets the ranges back", async () => {
    await run(...kept());
    lists = publish(without(OLD));
    answer = (path) => (path === "/health" && steps().at(-1) === "remove" ? new Response(null, { status: 522 }) : undefined);
    expect((await fails(...kept(), ...health())).exitCode).toBe(4);
    expect([steps(), inForce(), out()]).toEqual([["add", "remove", "restore"], inOrder(KNOWN), FORMATS["nginx-allow"](inOrder(KNOWN))]);
    expect(alerts).toHaveLength(1);
  });

  it("a command that fails leaves everything as it was", async () => {
    await run(...kept());
    const before = [out(), inForce()];
    lists = publish([...KNOWN, NEW]);
    writeFileSync(at("broken"), "add");
    const error = await fails(...kept(), ...health());
    expect([error.exitCode, error.message]).toEqual([
      3,
      "Cannot add ranges, the old files are back: The command ended with 9: [emerg] no such thing\nline 7: secret",
    ]);
    expect([[out(), inForce()], steps()]).toEqual([before, ["add", "add", "restore"]]);
    expect(applied().at(-1)).toEqual(["restore", before[0]]);
    expect(alerts[0]?.["text"]).toMatch(/no such thing$/);
    rmSync(at("broken"));
    await run(...kept());
    expect(inForce()).toEqual(inOrder([...KNOWN, NEW]));
  });

  it("a first run that fails leaves no file", async () => {
    writeFileSync(at("broken"), "add");
    expect((await fails(...kept())).exitCode).toBe(3);
    expect(readdirSync(folder).sort()).toEqual(["apply.sh", "broken", "log"]);
  });

  it("a command that fails when it removes, and with the old files too, is the worst and is told as that", async () => {
    await run(...kept());
    lists = publish(without(OLD));
    writeFileSync(at("broken"), "remove");
    expect((await fails(...kept(), ...health())).exitCode).toBe(3);
    expect(inForce()).toEqual(inOrder(KNOWN));
    writeFileSync(at("broken"), "remove restore");
    const error = await fails(...kept(), ...health());
    expect([error.exitCode, error.message]).toEqual([6, expect.stringContaining("look at once")]);
    expect([inForce(), out()]).toEqual([inOrder(KNOWN), FORMATS["nginx-allow"](inOrder(KNOWN))]);
    expect(alerts.at(-1)?.["text"]).toContain("look at once");
  });

  it("ends a command that hangs, with all that it started", async () => {
    const command = `sleep 60 & echo $! >> ${JSON.stringify(at("started"))}; sleep 60`;
    const error = await fails("--state", at("state.json"), "--apply", command, "--apply-timeout", "1");
    expect([error.exitCode, error.message]).toEqual([6, expect.stringContaining("took more than 1000 ms")]);
    const started = readFileSync(at("started"), "utf8").trim().split("\n");
    expect(started).toHaveLength(2);
    await until(() => started.every(isGone));
  });

  it("a file that cannot be written changes none of the others", async () => {
    await run(...kept());
    const before = out();
    lists = publish([...KNOWN, NEW]);
    const error = await fails(...kept(), "--out", `json=${at("missing/ranges.json")}`);
    expect([error.exitCode, error.message]).toEqual([3, expect.stringContaining("ENOENT")]);
    // The command has not run, so that it has nothing to take back.
    expect([out(), inForce(), steps()]).toEqual([before, inOrder(KNOWN), ["add"]]);
  });

  it("makes up for a run that was cut between its files and its command", async () => {
    await run(...kept());
    lists = publish([...KNOWN, NEW]);
    writeFileSync(at("out.conf"), FORMATS["nginx-allow"](inOrder([...KNOWN, NEW])));
    await run(...kept());
    expect(steps()).toEqual(["add", "add"]);
    // And for one that was cut between removing and remembering it: what went comes back, and goes again with its health check.
    writeFileSync(at("out.conf"), FORMATS["nginx-allow"](inOrder(KNOWN)));
    lists = publish(KNOWN);
    watch();
    await run(...kept(), ...health());
    expect([steps().slice(2), asked("/health"), inForce()]).toEqual([["add", "remove"], 6, inOrder(KNOWN)]);
  });

  it("remembers only what was put in force: the state comes after the command", async () => {
    await run("--state", at("state.json"), "--apply", `test ! -e ${JSON.stringify(at("state.json"))}`);
    expect(inForce()).toEqual(inOrder(KNOWN));
  });

  it("what somebody wrote into a file is written over", async () => {
    await run(...kept());
    writeFileSync(at("out.conf"), "allow all;\n");
    await run(...kept());
    expect(out()).toBe(FORMATS["nginx-allow"](inOrder(KNOWN)));
  });

  it("keeps mode and symbolic links, and no reader sees half a file", async () => {
    writeFileSync(at("real.conf"), "");
    chmodSync(at("real.conf"), 0o640);
    symlinkSync(at("real.conf"), at("out.conf"));
    await run(...kept());
    expect(lstatSync(at("out.conf")).isSymbolicLink()).toBe(true);
    expect([statSync(at("real.conf")).mode & 0o777, readFileSync(at("real.conf"), "utf8")]).toEqual([
      0o640,
      FORMATS["nginx-allow"](inOrder(KNOWN)),
    ]);
    const inode = statSync(at("real.conf")).ino;
    lists = publish([...KNOWN, NEW]);
    await run(...kept());
    expect(statSync(at("real.conf")).ino).not.toBe(inode);
  });

  it("a file that is a folder is no file, and leaves nothing behind", async () => {
    mkdirSync(at("out.conf"));
    await expect(writeText(at("out.conf"), "")).rejects.toThrow();
    expect((await fails(...kept())).exitCode).toBe(3);
    expect(readdirSync(folder).sort()).toEqual(["apply.sh", "out.conf"]);
  });

  it("a dry run tells, and touches nothing", async () => {
    await run(...kept());
    lists = publish([...without(OLD), NEW]);
    watch();
    await run(...kept(), ...health(), "--dry-run");
    expect(told.at(-1)).toBe(`Would add: ${NEW}. Would remove after a health check: ${OLD}`);
    lists = publish([]);
    await fails(...kept(), ...health(), "--dry-run");
    expect([steps(), inForce(), asked("/health"), alerts]).toEqual([["add"], inOrder(KNOWN), 0, []]);
  });

  describe("refuses", () => {
    const bad: [string, (path: string) => Response | Promise<Response> | undefined, RegExp][] = [
      ["an empty list", (path) => (path === "/ips-v4" ? new Response("") : undefined), /0 ranges/],
      ["one list of two", (path) => (path === "/ips-v6" ? new Response(null, { status: 404 }) : undefined), /ips-v6.*Answered 404/],
      ["a page", () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } }), /no range/],
      [
        "a list without end",
        () => new Response(new ReadableStream({ start: (c) => c.enqueue(new Uint8Array(70_000).fill(10)) })),
        /Longer than 65536/,
      ],
      ["a redirect elsewhere", () => Response.redirect("http://127.0.0.1:9/ips-v4"), /Redirected to http:\/\/127\.0\.0\.1:9/],
      ["a redirect in a circle", () => new Response(null, { status: 301, headers: { location: "/ips-v4" } }), /Redirected/],
      ["an empty redirect", () => new Response(null, { status: 301 }), /Answered 301/],
      ["bytes", () => new Response(new Uint8Array([0xff, 0xfe])), /UTF-8/],
    ];
    it.each(bad)("%s, changes nothing, and tells", async (_name, then, message) => {
      await run(...kept());
      answer = (path) => (path === "/alert" ? undefined : then(path));
      const error = await fails(...kept(), ...health());
      expect([error.exitCode, error.message]).toEqual([1, expect.stringMatching(message)]);
      expect([steps(), inForce(), alerts.length, existsSync(at("state.json.lock"))]).toEqual([["add"], inOrder(KNOWN), 1, false]);
    });

    it("a list that does not come", async () => {
      answer = (path) => (path === "/ips-v4" ? new Promise<Response>(() => undefined) : undefined);
      expect((await fails("--timeout", "1")).message).toContain("No answer in time");
    });

    it("half of what is known, by the state, not by what this version knows", async () => {
      const known = [...family(KNOWN, 6), ...Array.from({ length: 40 }, (_, i) => `23.${i}.0.0/16`)];
      writeFileSync(at("state.json"), formatState(known));
      expect((await fails(...kept())).message).toContain("0 of 40 known ranges of IPv4");
      lists = publish([...known, NEW]);
      await run(...kept());
      expect(inForce()).toEqual(inOrder([...known, NEW]));
    });

    it("a state that is none", async () => {
      writeFileSync(at("state.json"), "{}");
      const error = await fails(...kept());
      expect([error.exitCode, error.message]).toEqual([1, expect.stringContaining("Cannot read the state file")]);
    });
  });

  it("follows a redirect on the same host", async () => {
    await cloudflare.close();
    cloudflare = await serve((request) => {
      const { pathname } = new URL(request.url);
      if (pathname.endsWith("/")) return new Response(pathname === "/ips-v4/" ? lists.v4 : lists.v6);
      return new Response(null, { status: 301, headers: { location: `${pathname}/` } });
    });
    expect(JSON.parse(await run()).v4).toHaveLength(15);
  });

  it("an alert that cannot be sent is said without its address", async () => {
    lists = publish([]);
    answer = (path) => (path === "/alert" ? new Response(null, { status: 500 }) : undefined);
    expect((await fails()).exitCode).toBe(1);
    expect(told).toEqual(["Cannot send the alert: Answered 500"]);
  });

  it.each([
    [["--format", "yaml"], /Unknown format/],
    [["--out", "json=x"], /--state/],
    [["--apply", "true"], /--state/],
    [["--state", "s", "--health", "https://game.example/"], /--apply/],
    [["--state", "s", "--out", "x"], /FORMAT=FILE/],
    [["--state", "s", "--out", "json="], /FORMAT=FILE/],
    [["--state", "s", "--out", "toString=x"], /Unknown format/],
    [["--state", "s", "--out", "json=./s"], /file of its own/],
    [["--v4", "http://mirror.example/"], /https/],
    [["--v4", "http://127.0.0.1.mirror.example/"], /https/],
    [["--v6", "file:///etc/passwd"], /https/],
    [["--tries", "2"], /3 to 20/],
    [["--timeout", "1.5"], /integer/],
    [["--verbose"], /verbose/],
    [["extra"], /extra/],
  ])("refuses options: %j", (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });

  describe("as a command", () => {
    const command = (...args: string[]): string[] => [`${root}src/cli/index.ts`, "ip-ranges", ...args];
    const start = (...args: string[]): { child: ChildProcess; ended: Promise<{ code: number | null; stdout: string; stderr: string }> } => {
      const child = spawn(process.execPath, command(...args));
      const texts = { stdout: "", stderr: "" };
      child.stdout.on("data", (data) => {
        texts.stdout += data;
      });
      child.stderr.on("data", (data) => {
        texts.stderr += data;
      });
      return { child, ended: new Promise((resolve) => child.on("close", (code) => resolve({ code, ...texts }))) };
    };

    it("has codes to end with, and help", async () => {
      const help = spawnSync(process.execPath, command("--help"), { encoding: "utf8" });
      expect([help.status, help.stdout.includes("Exit codes"), help.stdout.includes("--health URL")]).toEqual([0, true, true]);
      const wrong = spawnSync(process.execPath, command("--nonsense"), { encoding: "utf8" });
      expect([wrong.status, wrong.stderr.includes("--help")]).toEqual([2, true]);
      const good = await start(...sources(), ...kept()).ended;
      expect([good.code, JSON.parse(good.stdout).v4.length]).toEqual([0, 15]);
      lists = publish([]);
      const failed = await start(...sources(), ...kept()).ended;
      expect([failed.code, failed.stdout, failed.stderr]).toEqual([
        1,
        "",
        expect.stringMatching(/^Cannot use the list "http.*0 ranges.*\n$/),
      ]);
    });

    it("one of many at once does the work; the lock of one that was killed is taken over", async () => {
      let waiting = 0;
      answer = (path) => {
        if (path !== "/ips-v4" || waiting > 0) return undefined;
        waiting += 1;
        return new Promise<Response>(() => undefined);
      };
      const runs = Array.from({ length: 4 }, () => start(...sources(), ...kept(), "--timeout", "30"));
      // Three of them end and tell, the fourth waits for its list.
      await until(() => alerts.length === 3 && waiting === 1);
      const holder = runs.find(({ child }) => child.exitCode === null && Number(readFileSync(at("state.json.lock"), "utf8")) === child.pid);
      holder?.child.kill("SIGKILL");
      const results = await Promise.all(runs.map(({ ended }) => ended));
      expect(results.map(({ code }) => code).sort()).toEqual([5, 5, 5, null]);
      expect([existsSync(at("state.json.lock")), existsSync(at("out.conf"))]).toEqual([true, false]);
      const next = await Promise.all(Array.from({ length: 4 }, () => start(...sources(), ...kept()).ended));
      expect(next.filter(({ code }) => code === 0).length).toBeGreaterThan(0);
      expect(next.every(({ code }) => code === 0 || code === 5)).toBe(true);
      expect([steps(), existsSync(at("state.json.lock"))]).toEqual([["add"], false]);
    }, 60_000);
  });

  it("a lock is let go of, and taken over from the dead alone", async () => {
    const release = await lock(at("x"));
    await release();
    writeFileSync(at("x.lock"), `${process.ppid}\n`);
    await expect(lock(at("x"))).rejects.toThrow(`Process ${process.ppid} holds`);
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(at("x.lock"), `${pid}\n`);
    await (await lock(at("x")))();
    writeFileSync(at("x.lock"), "");
    await expect(lock(at("x"))).rejects.toThrow("holds");
    expect(existsSync(at("x.lock.takeover"))).toBe(false);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A process that ended, whether or not anybody has asked how. */
function isGone(pid: string): boolean {
  return /^(Z.*)?$/.test(spawnSync("ps", ["-o", "stat=", "-p", pid], { encoding: "utf8" }).stdout.trim());
}

function attempt(make: () => Plan): Plan | null {
  try {
    return make();
  } catch {
    return null;
  }
}

function isCovered(text: string, ranges: readonly string[]): boolean {
  const range = parseCidr(text);
  if (!range) throw new Error(`No range: ${text}`);
  return ranges.some((one) => {
    const other = parseCidr(one);
    return other !== null && range.bits >= other.bits && inCidr(range, other);
  });
}

/** The upper half of an IPv4 range. */
function upper(range: string, bits: number): string {
  const { bytes = new Uint8Array() } = parseCidr(range) ?? {};
  const copy = [...bytes];
  copy[bits >> 3] = (copy[bits >> 3] ?? 0) | (0x80 >> (bits & 7));
  return `${copy.join(".")}/${bits + 1}`;
}
