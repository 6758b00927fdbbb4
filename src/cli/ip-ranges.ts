import { hostname } from "node:os";
import { exit, stderr, stdout } from "node:process";
import { CLOUDFLARE_RANGES } from "../util/ip.ts";
import { lock, readText } from "./ip-ranges-files.ts";
import { FORMATS } from "./ip-ranges-format.ts";
import { checkHealth, fetchList, type Reach, reasonOf, sendAlert } from "./ip-ranges-http.ts";
import { IP_RANGES_USAGE, type IpRangesOptions, readOptions } from "./ip-ranges-options.ts";
import { type Plan, parseList, parseState, planUpdate } from "./ip-ranges-plan.ts";
import { createPut } from "./ip-ranges-put.ts";
import { EXIT, messageOf, type Outcome, RunFailure, update } from "./ip-ranges-run.ts";

/** `gatepass ip-ranges`: Cloudflare's ranges, fetched, looked over, and put in force with care. */
export async function runIpRanges(args: string[]): Promise<void> {
  if (args.some((arg) => arg === "--help" || arg === "-h")) {
    stdout.write(IP_RANGES_USAGE);
    return;
  }
  let options: IpRangesOptions;
  try {
    options = readOptions(args);
  } catch (error) {
    stderr.write(`Cannot run ip-ranges: ${messageOf(error)}\n\nSee gatepass ip-ranges --help\n`);
    exit(EXIT.usage);
  }
  try {
    stdout.write(await ipRanges(options, fetch, (text) => stderr.write(`${text}\n`)));
  } catch (error) {
    stderr.write(`${messageOf(error)}\n`);
    exit(error instanceof RunFailure ? error.exitCode : EXIT.lists);
  }
}

/**
 * One run.
 *
 * @param tell takes a line for people
 * @returns what goes to stdout
 * @throws {RunFailure} after the alert was sent
 */
export async function ipRanges(options: IpRangesOptions, fetch: Reach["fetch"], tell: (text: string) => void): Promise<string> {
  const { alert, dryRun, timeoutMs } = options;
  const reach = { fetch, timeoutMs };
  let plan: Plan | undefined;
  try {
    return await lockedRun(options, reach, tell, (made) => {
      plan = made;
    });
  } catch (error) {
    // Its first line: what a command printed stays on this machine.
    const [message = ""] = messageOf(error).slice(0, 500).split("\n");
    const { added = [], stale = [] } = plan ?? {};
    const body = {
      type: "ip_ranges_failed",
      at: new Date().toISOString(),
      host: hostname(),
      text: `gatepass ip-ranges: ${message}`,
      added,
      stale,
    };
    if (alert && !dryRun) await sendAlert(alert, body, reach).catch((why) => tell(`Cannot send the alert: ${reasonOf(why)}`));
    throw error;
  }
}

async function lockedRun(
  options: IpRangesOptions,
  reach: Reach,
  tell: (text: string) => void,
  seen: (plan: Plan) => void,
): Promise<string> {
  const { place, dryRun, health, tries, pauseMs } = options;
  const release = place && !dryRun ? await lock(place.state).catch(notLocked) : undefined;
  try {
    const plan = await makePlan(options, reach);
    seen(plan);
    const healthy = health ? () => checkHealth(health, reach, tries, pauseMs).catch(failed("health", HEALTH)) : null;
    if (!place || dryRun) {
      if (dryRun)
        tell(`Would add: ${list(plan.added)}. Would remove${healthy ? " after a health check" : " with --health"}: ${list(plan.stale)}`);
      return report(options, { ranges: plan.union, removed: [], stale: plan.stale, changed: false }, plan);
    }
    const outcome = await update(plan, { put: createPut(place), healthy });
    if (outcome.changed) tell(`Added: ${list(plan.added)}. Removed: ${list(outcome.removed)}`);
    if (outcome.stale.length > 0) tell(`No longer published, kept for want of --health: ${list(outcome.stale)}`);
    return report(options, outcome, plan);
  } finally {
    await release?.();
  }
}

const HEALTH = "The origin does not answer through Cloudflare; no range was removed";

async function makePlan({ place, v4, v6 }: IpRangesOptions, reach: Reach): Promise<Plan> {
  const known = await stateOf(place?.state).catch(failed("lists", `Cannot read the state file ${JSON.stringify(place?.state)}`));
  const fetched = ([4, 6] as const).map(async (version) => {
    const url = version === 4 ? v4 : v6;
    return parseList(await fetchList(url, reach), version);
  });
  // Both, or nothing: a family that is missing is not a family that is empty.
  const lists = await Promise.all(
    fetched.map((one, i) => one.catch(failed("lists", `Cannot use the list ${JSON.stringify((i === 0 ? v4 : v6).href)}`))),
  );
  try {
    return planUpdate(known, lists.flat());
  } catch (error) {
    throw new RunFailure("lists", "Cannot believe the lists", error);
  }
}

async function stateOf(file: string | undefined): Promise<readonly string[]> {
  const text = file === undefined ? null : await readText(file);
  return text === null ? CLOUDFLARE_RANGES : parseState(text);
}

function report({ format }: IpRangesOptions, { ranges, removed, stale, changed }: Outcome, { added }: Plan): string {
  const text = FORMATS[format](ranges);
  return format === "json" ? `${JSON.stringify({ ...JSON.parse(text), changed, added, removed, stale }, null, 2)}\n` : text;
}

function failed(step: keyof typeof EXIT, message: string): (error: unknown) => never {
  return (error) => {
    throw new RunFailure(step, message, error instanceof RangeError ? error : new Error(reasonOf(error)));
  };
}

function notLocked(error: unknown): never {
  // What the system says has a code: a folder that is missing, or not ours.
  return failed("code" in Object(error) ? "apply" : "locked", "Cannot start")(error);
}

function list(ranges: readonly string[]): string {
  return ranges.join(" ") || "nothing";
}
