import type { ConfigProblem } from "../src/errors.ts";
import { createEvaluate, hasCode, type ScriptRunner } from "./_redis-script.ts";

/** Every command that a store's scripts run, in a form that can be tried on a key (`@`). */
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

/** What scripts do, and with which keys. */
export interface ScriptUse {
  /** An unused key with the prefix, to try commands on. */
  key: string;
  /** Beginning of all keys. */
  prefix: string;
  /**
   * Commands, with `@` for the key. The first one must write: after a write, Redis lets a script go on even without
   * memory left.
   */
  commands: readonly string[];
  /** What happens if one is refused, for the message. */
  consequence: string;
}

/**
 * Runs each command of `ARGV` (its words separated by spaces) on `KEYS[1]`. For each refused command the answer has one
 * number: ten times its position, plus the position of the reason. If DEL is refused, the script stops: what the next
 * commands write would stay. The script is atomic and leaves nothing behind.
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
/** The first three reasons of the script are missing permissions; the others are the server's state. */
const PERMISSIONS = 3;
const WRITES = ["READONLY", "OOM", "MISCONF", "NOREPLICAS"];

/** Whether an error means that the user may not run a command, or that the server lacks it. */
export function isRefusal(error: unknown): boolean {
  return hasCode(error, "NOPERM") || hasCode(error, "NOAUTH") || hasCode(error, "unknown command");
}

/**
 * Finds what the connection's user may not do although the scripts need it, by trying it. Nothing stays in the
 * database.
 *
 * @throws any error that is not a refusal: the server may be down
 */
export async function checkPermissions(runner: ScriptRunner, { key, prefix, commands, consequence }: ScriptUse): Promise<ConfigProblem[]> {
  let answer: unknown;
  try {
    // Try EVALSHA and EVAL: the latter is only needed while the server does not know the script.
    await createEvaluate(runner)(TRY, [key], [...commands]);
    answer = await runner.eval(TRY, [key], [...commands]);
  } catch (error) {
    // Another master has the key. Missing permissions would have been reported before that.
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

/** The problem for a refused INFO. */
export const UNINFORMED: ConfigProblem = {
  code: "GP145",
  severity: "warning",
  message: "The user of Redis may not run INFO: whether it evicts, keeps anything on disk and has replicas cannot be told",
  fix: "Grant it (ACL SETUSER ... +info), or look after these yourself",
};

/** The problem for refused commands. */
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
