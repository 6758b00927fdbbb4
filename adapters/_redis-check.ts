import type { ConfigProblem } from "../src/errors.ts";
import { type RedisDriver, runnerOver, type Send } from "./_redis-client.ts";
import { checkPermissions, commandsRefused, isRefusal, type ScriptUse, UNINFORMED } from "./_redis-permissions.ts";

/**
 * Problems of the servers' settings and of the user's permissions, each once. Rejects when a server does not answer.
 */
export async function checkRedis(driver: RedisDriver, use: ScriptUse, waitReplicas: number): Promise<ConfigProblem[]> {
  const masters = await driver.masters();
  const found = await Promise.all([
    ...masters.map((send) => checkServer(send, waitReplicas)),
    // Each master of a cluster has its own users. The master of the key runs the commands; the others only tell whether
    // they would run a script.
    ...[driver.send, ...(driver.cluster ? masters : [])].map((send) => checkPermissions(runnerOver(send), use)),
    ...(waitReplicas > 0 ? masters.map((send) => checkWait(send, use)) : []),
  ]);
  const problems = new Map(found.flat().map((problem) => [problem.code + problem.message, problem]));
  return [...problems.values()].sort((a, b) => (a.code < b.code ? -1 : 1));
}

/** Checks the commands that `waitReplicas` needs besides: WAIT and CLIENT. */
async function checkWait(send: Send, { consequence }: ScriptUse): Promise<ConfigProblem[]> {
  const refused: string[] = [];
  for (const [command, ...args] of [["wait", "0", "1"] as const, ["client", "GETNAME"] as const]) {
    await send(command, args).catch((error: unknown) => {
      if (!isRefusal(error)) throw error;
      refused.push(command.toUpperCase());
    });
  }
  return refused.length > 0 ? [commandsRefused(refused, consequence)] : [];
}

/** The answer of INFO; undefined where the user may not run it. */
async function informed(send: Send): Promise<Map<string, string> | undefined> {
  try {
    return readInfo(await send("info", []));
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}

async function checkServer(send: Send, waitReplicas: number): Promise<ConfigProblem[]> {
  const info = await informed(send);
  if (info === undefined) return [UNINFORMED];
  const problems: ConfigProblem[] = [];
  const [major = 0, minor = 0] = (info.get("redis_version") ?? "").split(".").map(Number);
  if (major < 6 || (major === 6 && minor < 2)) {
    problems.push({
      code: "GP140",
      severity: "error",
      message: "Redis is too old: every spend fails",
      fix: "Use Redis 6.2 or later, or Valkey",
    });
  }
  const policy = info.get("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    const evicts = info.get("maxmemory") !== "0";
    problems.push({
      code: "GP141",
      severity: evicts ? "error" : "warning",
      message: `Redis ${evicts ? "evicts keys when its memory is full" : "would evict keys if its memory had a limit"}: a token that was spent could be spent again`,
      fix: "Set maxmemory-policy to noeviction",
    });
  }
  if (info.get("aof_enabled") === "0" && (await savePoints(send)) === "") {
    problems.push({
      code: "GP142",
      severity: "warning",
      message: "Redis keeps nothing on disk: after a restart every token that was spent can be spent again, and every limit begins anew",
      fix: "Set appendonly to yes",
    });
  }
  if (waitReplicas > 0 && Number(info.get("connected_slaves") ?? 0) < waitReplicas) {
    problems.push({
      code: "GP143",
      severity: "error",
      message: "Redis has fewer replicas than waitReplicas asks for: every spend fails",
      fix: "Add replicas, or lower waitReplicas",
    });
  }
  return problems;
}

function readInfo(answer: unknown): Map<string, string> {
  const lines = String(answer).split(/\r?\n/);
  return new Map(
    lines.filter((line) => /^\w+:/.test(line)).map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1)]),
  );
}

/** The save points; undefined where the user may not read them, as with most hosted servers. */
async function savePoints(send: Send): Promise<string | undefined> {
  const answer: unknown = await send("config", ["GET", "save"]).catch(() => undefined);
  if (Array.isArray(answer)) return textOrUndefined(answer[1]);
  if (answer instanceof Map) return textOrUndefined(answer.get("save"));
  return typeof answer === "object" && answer !== null ? textOrUndefined(Reflect.get(answer, "save")) : undefined;
}

/** A text, also where the client is set to give Buffers. */
function textOrUndefined(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  return typeof value === "string" ? value : undefined;
}
