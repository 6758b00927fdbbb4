import { spawn } from "node:child_process";
import { env, kill } from "node:process";
import { readText, writeText } from "./ip-ranges-files.ts";
import { FORMATS, type Format } from "./ip-ranges-format.ts";
import { formatState } from "./ip-ranges-plan.ts";
import { type Effects, messageOf, RunFailure } from "./ip-ranges-run.ts";

/** Where ranges are kept, and what puts them in force. */
export interface Place {
  outs: readonly { format: Format; file: string }[];
  state: string;
  /** For the shell. */
  apply?: string;
  /** Milliseconds. */
  applyTimeoutMs: number;
}

/** Characters of a command's output that a message has. */
const OUTPUT = 2000;
/** Milliseconds for the rest of it. */
const GRACE = 300;

/** Files, command and state as one step: all of it, or everything as it was. The state is written last: it says what is in force. */
export function createPut({ outs, state, apply, applyTimeoutMs }: Place): Effects["put"] {
  const run = async (step: string): Promise<void> => {
    if (apply !== undefined) await runCommand(apply, step, applyTimeoutMs);
  };
  return async (ranges, step) => {
    const wanted = [
      ...outs.map(({ format, file }) => ({ file, text: FORMATS[format](ranges) })),
      { file: state, text: formatState(ranges) },
    ];
    const before = await Promise.all(wanted.map(async ({ file }) => ({ file, text: await readText(file) }))).catch((error: unknown) => {
      throw new RunFailure("apply", `Cannot ${step} ranges`, error);
    });
    const files = wanted.filter(({ text }, i) => text !== before[i]?.text);
    if (files.length === 0) return false;
    let ran = false;
    try {
      for (const { file, text } of files) if (file !== state) await writeText(file, text);
      // Also when the state alone differs: the run before may have ended between its files and its command.
      ran = true;
      await run(step);
      await writeText(state, formatState(ranges));
      return true;
    } catch (error) {
      try {
        for (const { file, text } of before) if (text !== (await readText(file))) await writeText(file, text);
        if (ran) await run("restore");
      } catch (second) {
        const both = `${messageOf(error)}\n${messageOf(second)}`;
        throw new RunFailure("restore", `Cannot ${step} ranges, and the old files do not work either, look at once`, both);
      }
      throw new RunFailure("apply", `Cannot ${step} ranges, the old files are back`, error);
    }
  };
}

/** Runs a command of the user's, and says with its output how it failed. */
function runCommand(command: string, step: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that what the shell started ends with it.
    const child = spawn(command, {
      shell: true,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...env, GATEPASS_STEP: step },
    });
    let output = "";
    let late = false;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text: string) => {
        output = `${output}${text}`.slice(-OUTPUT);
      });
    }
    let timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) kill(-child.pid, "SIGKILL");
    }, timeoutMs);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    // "close" comes when all output was read; a service that the command started may keep it open for ever.
    child.once("exit", () => {
      clearTimeout(timer);
      timer = setTimeout(finish, GRACE);
    });
    child.once("close", finish);
    function finish(): void {
      clearTimeout(timer);
      child.stdout.destroy();
      child.stderr.destroy();
      if (child.exitCode === 0) resolve();
      const how = late ? `took more than ${timeoutMs} ms` : `ended with ${child.exitCode ?? child.signalCode}`;
      reject(new Error(`The command ${how}${output.trim() && `: ${output.trim()}`}`));
    }
  });
}
