import type { ConfigProblem } from "../src/errors.ts";
import { createEvaluate, hasCode, type ScriptRunner } from "./_redis-script.ts";

/** Every command that the scripts of a store run, in a form that can be tried on a key (`@`). */
export const STORE_COMMANDS: readonly string[] = [
  "SET @ x PX 1000",
  "DEL @",
  "TIME",
  "GET @",
  "MGET @",
  "SET @ x PX 1000",
  "SETRANGE @ 0 y",
  "PTTL @",
  "DEL @",
];

/** What scripts do, and to which keys. */
export interface ScriptUse {
  /** A key as they use it, of no meaning. */
  key: string;
  /** Beginning of all keys. */
  prefix: string;
  /** Commands, `@` in place of the key. The first one writes: after a write Redis lets a script go on, though it has no memory left. */
  commands: readonly string[];
  /** What comes of it when one is refused. */
  consequence: string;
}

/**
 * Runs each of `ARGV`, words apart by blanks, on `KEYS[1]`. The answer: for each that was refused ten times its position, and why. When DEL is refused,
 * no other one is tried: what it wrote would stay. The whole is one step, and leaves nothing.
 */
const TRY = `
local reasons = {'permission', "can't run", "can't access", 'READONLY', 'OOM', 'MISCONF', 'NOREPLICAS'}
local out = {}
for i, line in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(line, '%S+') do words[#words + 1] = word == '@' and KEYS[1] or word end
  local answer = redis.pcall(unpack(words))
  if type(answer) == 'table' and answer.err then
    for reason, text in ipairs(reasons) do
      if string.find(answer.err, text, 1, true) then out[#out + 1] = i * 10 + reason break end
    end
    if words[1] == 'DEL' and out[1] then break end
  end
end
return out
`;
/** Positions in the script's list: up to here it is the user who may not. */
const PERMISSIONS = 3;
const WRITES = ["READONLY", "OOM", "MISCONF", "NOREPLICAS"];

/** Whether an error says that the user may not run a command, or that the server does not have it. */
export function isRefusal(error: unknown): boolean {
  return hasCode(error, "NOPERM") || hasCode(error, "NOAUTH") || hasCode(error, "unknown command");
}

/**
 * What the user of the connection may not do although the scripts do it, found out by doing it. Nothing stays.
 *
 * @throws whatever is neither a refusal nor an answer: the server may be down
 */
export async function checkPermissions(runner: ScriptRunner, { key, prefix, commands, consequence }: ScriptUse): Promise<ConfigProblem[]> {
  let answer: unknown;
  try {
    // Both ways: by hash, and by text, which a script needs only as long as the server does not know it.
    await createEvaluate(runner)(TRY, [key], [...commands]);
    answer = await runner.eval(TRY, [key], [...commands]);
  } catch (error) {
    // It belongs to another master of the cluster; whether the user may is said before that.
    if (hasCode(error, "MOVED") || hasCode(error, "CLUSTERDOWN")) return [];
    if (hasCode(error, "NOPERM") && /\bkeys?\b/.test(String(error))) return [keysRefused(prefix, consequence)];
    if (isRefusal(error)) return [commandsRefused(["EVAL", "EVALSHA"], consequence)];
    const code = WRITES.find((one) => hasCode(error, one));
    if (code === undefined) throw error;
    return [writesRefused(code, consequence)];
  }
  const found = (Array.isArray(answer) ? answer : []).map(Number).filter(Number.isInteger);
  const refused = found.filter((one) => one % 10 <= PERMISSIONS).map((one) => commands[Math.floor(one / 10) - 1]?.split(" ")[0] ?? "");
  const writes = new Set(found.flatMap((one) => WRITES[(one % 10) - PERMISSIONS - 1] ?? []));
  return [
    ...(refused.length > 0 ? [commandsRefused([...new Set(refused)], consequence)] : []),
    ...[...writes].map((code) => writesRefused(code, consequence)),
  ];
}

/** INFO was refused. */
export const UNINFORMED: ConfigProblem = {
  code: "GP145",
  severity: "warning",
  message: "The user of Redis may not run INFO: whether it evicts, keeps anything on disk and has replicas cannot be told",
  fix: "Grant it (ACL SETUSER ... +info), or look after these yourself",
};

/** Commands were refused. */
export function commandsRefused(names: readonly string[], consequence: string): ConfigProblem {
  const grants = names.map((name) => `+${name.toLowerCase()}`).join(" ");
  return {
    code: "GP146",
    severity: "error",
    message: `The user of Redis may not run ${names.join(", ")}: ${consequence}`,
    fix: `Grant it (ACL SETUSER ... ${grants}), or log in`,
  };
}

function keysRefused(prefix: string, consequence: string): ConfigProblem {
  return {
    code: "GP147",
    severity: "error",
    message: `The user of Redis may not read and write keys that begin with "${prefix}": ${consequence}`,
    fix: `Grant it (ACL SETUSER ... ~${prefix}*), or set "prefix" to what it may use`,
  };
}

function writesRefused(code: string, consequence: string): ConfigProblem {
  const fix = code === "READONLY" ? "Connect to the master" : "See what the server's log says, and mend it";
  return { code: "GP148", severity: "error", message: `Redis takes no writes (${code}): ${consequence}`, fix };
}
