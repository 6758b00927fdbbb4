import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Cluster } from "ioredis";
import { createCluster } from "redis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { slotOf } from "../../../adapters/_redis-slot.ts";
import { redisStore } from "../../../adapters/redis.ts";
import type { Quota, Store } from "../../../src/store/contract.ts";
import { describeWith, hasRedis } from "../../helpers/backends.ts";
import { type RedisCluster, startCluster } from "../../helpers/redis.ts";
import { inTime, resultOf, startLoad } from "../../storm/load.ts";
import { runStorm } from "../../storm/run.ts";

const timeoutMs = 800;
const script = fileURLToPath(new URL("faults/dying-spender.ts", import.meta.url));
const expiresAt = Date.now() + 3_600_000;
const uses = (key: string, limit: number): Quota => ({ key, limit, expiresAt });
const rate = (key: string, limit: number): Quota => ({ key, limit, window: 3600 });
const read = (quotas: readonly Quota[]): Quota[] => quotas.map((quota) => ({ ...quota, cost: 0 }));

describeWith("redis-server", hasRedis())("a Cluster under load, while something happens to it or to its clients", () => {
  let cluster: RedisCluster;
  const ends: (() => unknown)[] = [];
  const stores: Record<string, Store> = {};
  const patient: Store[] = [];
  beforeAll(async () => {
    // No failover here: what is asked is what happens until there is one.
    cluster = await startCluster({ config: { "cluster-node-timeout": "60000" } });
    const node = createCluster({ rootNodes: cluster.addresses.map((socket) => ({ socket })) });
    node.on("error", () => undefined);
    await node.connect();
    const io = new Cluster([...cluster.addresses]);
    io.on("error", () => undefined);
    ends.push(
      () => node.destroy(),
      () => io.disconnect(),
    );
    stores["node-redis"] = redisStore(node, { timeoutMs });
    stores["ioredis"] = redisStore(io, { timeoutMs });
    patient.push(redisStore(node, { timeoutMs: 20_000 }), redisStore(io, { timeoutMs: 20_000 }));
  });
  afterAll(async () => {
    for (const end of ends) end();
    await cluster?.dispose();
  });

  const storeOf = (name: string): Store => stores[name] ?? patient[0] ?? unreachable();
  /** Which of the three masters has a key. */
  const masterOf = (key: string): number => Math.floor((slotOf(`gatepass:{${key}}`) * 3) / 16_384);
  /** A key on the master number `master`. */
  const keyOn = (master: number, name: string): string => {
    for (let i = 0; ; i++) if (masterOf(`${name}${i}`) === master) return `${name}${i}`;
  };

  /** How a process ended that was to die after so many answers. */
  function die(quotas: readonly Quota[], after: number): Promise<{ signal: NodeJS.Signals | null; output: string }> {
    const ports = cluster.nodes.map(({ port }) => port);
    const child = spawn(process.execPath, ["--no-warnings", script, JSON.stringify(ports), JSON.stringify(quotas), String(after)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => {
      output += String(chunk);
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (_, signal) => resolve({ signal, output }));
    });
  }

  it("kill -9 of a client between the steps of a spend costs a unit at most, and grants none", { timeout: 240_000 }, async () => {
    const [store = unreachable()] = patient;
    // Two rates in two slots, then two uses in two more: three steps, four scripts.
    const quotas = (i: number): Quota[] => [
      rate("dying-ip|burst", 40),
      rate("dying-account|daily", 40),
      uses(`dying-a${i}`, 2),
      uses(`dying-b${i}`, 2),
    ];
    expect(new Set(quotas(0).map(({ key }) => slotOf(`gatepass:{${key.split("|")[0]}}`))).size).toBe(4);
    // All know the scripts: each answer that is counted is a step.
    await Promise.all(Array.from({ length: 300 }, (_, i) => store.spend([uses(`warm${i}`, 1)])));
    const load = startLoad(patient, { name: "beside-dying", timeoutMs: 20_000 });
    // Others spend of the very same rates meanwhile.
    let others = 0;
    let running = true;
    const beside = (async () => {
      while (running && others < 20) {
        if ((await store.spend(quotas(9).slice(0, 2))).ok) others += 1;
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
    })();
    // After how many answers it dies, and what of the two uses is charged then. Five: it is not killed at all.
    const expected: Record<number, [a: number, b: number]> = { 1: [0, 0], 2: [0, 0], 3: [1, 0], 4: [1, 1], 5: [1, 1] };
    const deaths = await Promise.all(Object.keys(expected).map((after) => die(quotas(Number(after)), Number(after))));
    running = false;
    await beside;
    await load.admits(100);
    await load.stop();
    expect(deaths.map(({ signal }) => signal)).toEqual(["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL", null]);
    expect(deaths.map(({ output }) => output)).toEqual(["", "", "", "", JSON.stringify({ ok: true, answers: 4 })]);
    for (const [i, [a, b]] of Object.entries(expected)) {
      const { states } = await store.spend(read(quotas(Number(i)).slice(2)));
      const left = states.map(({ remaining }) => remaining);
      // The two uses are taken in the order of their slots.
      expect([i, left.reduce((sum, one) => sum + 2 - one, 0)]).toEqual([i, a + b]);
    }
    // A unit of each rate for each of the five, at most: the first death may come before the second rate is charged.
    const charged = (await store.spend(read(quotas(0).slice(0, 2)))).states.map(({ remaining }) => 40 - remaining - others);
    for (const units of charged) expect([units, units >= 4, units <= 5]).toEqual([units, true, true]);
    // Nothing is granted: of what is left exactly as much is admitted.
    const all = await Promise.all(Array.from({ length: 60 }, () => store.spend(quotas(9).slice(0, 2))));
    expect(all.filter(({ ok }) => ok).length).toBe(40 - others - Math.max(...charged));
    for (const i of [1, 2, 3, 4]) {
      const spends = await Promise.all(Array.from({ length: 6 }, (_, n) => store.spend(quotas(i).slice(2 + (n % 2), 3 + (n % 2)))));
      const [a = 0, b = 0] = expected[i] ?? [];
      expect([i, spends.filter(({ ok }) => ok).length]).toEqual([i, 4 - a - b]);
    }
    expect(await resultOf(load, store)).toMatchObject({ twice: 0, forgotten: 0, late: 0, said: [] });
  });

  it("SCRIPT FLUSH on every node, again and again, while several processes spend", { timeout: 240_000 }, async () => {
    let running = true;
    const flushing = (async (): Promise<number> => {
      let times = 0;
      for (; running; times++) for (const master of cluster.nodes.slice(0, 3)) await master.command("SCRIPT", "FLUSH");
      return times;
    })();
    const storm = { processes: 3, callers: 8, spends: 2400, expiresAt };
    const { faults, reports } = await runStorm({ kind: "redis-cluster", ports: cluster.nodes.map(({ port }) => port) }, storm);
    running = false;
    expect(await flushing).toBeGreaterThan(5);
    expect([faults, reports.flatMap(({ errors }) => errors)]).toEqual([[], []]);
  });

  for (const name of ["node-redis", "ioredis"]) {
    it(`one of three masters hangs (SIGSTOP): the others serve on, its keys reject in time (${name})`, { timeout: 240_000 }, async () => {
      const store = storeOf(name);
      const on = (master: number, what: string): string => keyOn(master, `hang-${name}-${what}`);
      // One load on the keys of all three; what is on the stopped one rejects, and the two others are admitted all the while.
      const load = startLoad([store], { name: `hang-${name}`, timeoutMs });
      await load.admits(100);
      const stopped = cluster.nodes[1];
      stopped?.pause();
      try {
        await load.rejects(20);
        await load.admits(50);
        const alive = on(0, "alive");
        const spends = [
          [uses(alive, 5)],
          [uses(on(1, "dead"), 5)],
          // Over two masters: the rate is charged on the one, the uses cannot be on the other.
          [rate(on(2, "rate"), 5), uses(on(1, "dead"), 5)],
          [rate(on(1, "rate"), 5), uses(on(2, "use"), 5)],
        ];
        let late = 0;
        const outcomes = await Promise.allSettled(spends.map((quotas) => inTime(store.spend(quotas), timeoutMs, () => void late++)));
        expect(outcomes.map((one) => (one.status === "fulfilled" ? one.value.ok : one.reason.code))).toEqual([
          true,
          ...Array(3).fill("ERR_STORE_UNAVAILABLE"),
        ]);
        expect(late).toBe(0);
        await expect(store.block(on(1, "dead"), expiresAt)).rejects.toMatchObject({ code: "ERR_STORE_UNAVAILABLE" });
        await store.block(on(2, "blocked"), expiresAt);
      } finally {
        stopped?.resume();
      }
      // More than the two masters that went on could account for by chance.
      await load.admits(300);
      await load.stop();
      expect(await resultOf(load, patient[0] ?? store)).toMatchObject({
        twice: 0,
        forgotten: 0,
        late: 0,
        said: ["ERR_STORE_UNAVAILABLE"],
      });
      // The rate that was charged in vain costs a unit at most; the uses behind a rate that nobody answered for were never touched.
      const { states } = await store.spend(read([rate(on(2, "rate"), 5), uses(on(2, "use"), 5), uses(on(1, "dead"), 5)]));
      const [rateLeft = 0, useLeft, deadLeft = 0] = states.map(({ remaining }) => remaining);
      expect([rateLeft >= 4, useLeft, deadLeft >= 3]).toEqual([true, 5, true]);
    });
  }

  it("one master that evicts is enough for check to say so", async () => {
    const store = storeOf("node-redis");
    const codes = async (): Promise<string[]> => ((await store.check?.()) ?? []).map(({ code, severity }) => `${code} ${severity}`);
    expect(await codes()).toEqual(["GP142 warning"]);
    const master = cluster.nodes[2];
    await master?.command("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    expect(await codes()).toEqual(["GP141 warning", "GP142 warning"]);
    await master?.command("CONFIG", "SET", "maxmemory", "100mb");
    expect(await codes()).toEqual(["GP141 error", "GP142 warning"]);
    await master?.command("CONFIG", "SET", "maxmemory-policy", "noeviction");
    expect(await codes()).toEqual(["GP142 warning"]);
    await master?.command("CONFIG", "SET", "maxmemory", "0");
  });
});

function unreachable(): never {
  throw new Error("No store");
}
