import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { assertInteger } from "../util/assertions.ts";
import { assertFormat, FORMATS, type Format } from "./ip-ranges-format.ts";
import type { Place } from "./ip-ranges-put.ts";

/** Checked options of `gatepass ip-ranges`. */
export interface IpRangesOptions {
  /** Of what goes to stdout. */
  format: Format;
  v4: URL;
  v6: URL;
  /** Null: nothing is kept, only printed. */
  place: Place | null;
  health: URL | undefined;
  alert: URL | undefined;
  tries: number;
  pauseMs: number;
  timeoutMs: number;
  dryRun: boolean;
}

/** What --help says. */
export const IP_RANGES_USAGE: string = `Usage: gatepass ip-ranges [OPTION ...]

Fetches Cloudflare's published address ranges, refuses lists that cannot be right, compares them with what is known, and prints the ranges that are
in force. With --state it keeps files: it adds first, and removes what is no longer published only after a health check.

  --format FORMAT        what is printed: ${Object.keys(FORMATS).join(", ")} (default json)
  --state FILE           remembers what is in force; until it exists, the ranges known to this version are
  --out FORMAT=FILE      a file that is kept in this format, as a whole; may be repeated; needs --state
  --apply COMMAND        run by the shell after each change, e.g. "nginx -t && nginx -s reload"; when it fails, the old files are put back and it
                         runs again; needs --state. GATEPASS_STEP tells it why: add, remove or restore
  --apply-timeout S      seconds for it, 1 to 600 (60)
  --health URL           a path of your origin, through Cloudflare and not cached: asked after a change, before a range is removed and after.
                         Without it no range is ever removed; needs --apply
  --tries N              requests of a health check at most, 3 to 20 (10); three good answers in a row are wanted
  --pause S              seconds between them, 0 to 30 (2)
  --alert URL            gets a POST of JSON when the run fails: type, at, host, text, added, stale
  --v4 URL, --v6 URL     other lists (https://www.cloudflare.com/ips-v4 and /ips-v6); https, or http on this machine
  --timeout S            seconds for each request, 1 to 30 (10)
  --dry-run              fetches and tells; writes, runs, asks and alerts nothing

nginx-realip is set_real_ip_from with real_ip_header; nginx-allow is allow and deny all, for a server without nginx-realip; nginx-geo is a map
$from_cloudflare that works beside it; nftables are the sets cloudflare4 and cloudflare6 in the table inet gatepass, replaced in one transaction.

Exit codes
  0  done, or nothing to do
  1  the lists or the state file cannot be used; nothing was changed
  2  wrong options
  3  a file could not be written or the command failed; the old files are back
  4  the health check failed; what was added stays, what is stale stays
  5  another run is under way
  6  as 3, and with the old files the command failed too: look at once
`;

/** @throws {TypeError} {RangeError} {Error} an unknown option, a bad value, an option without another that it needs */
export function readOptions(args: string[]): IpRangesOptions {
  const { values } = parseArgs({
    args,
    options: {
      format: { type: "string", default: "json" },
      state: { type: "string" },
      out: { type: "string", multiple: true, default: [] },
      apply: { type: "string" },
      "apply-timeout": { type: "string", default: "60" },
      health: { type: "string" },
      tries: { type: "string", default: "10" },
      pause: { type: "string", default: "2" },
      alert: { type: "string" },
      v4: { type: "string", default: "https://www.cloudflare.com/ips-v4" },
      v6: { type: "string", default: "https://www.cloudflare.com/ips-v6" },
      timeout: { type: "string", default: "10" },
      "dry-run": { type: "boolean", default: false },
    },
  });
  const { format, state, apply, health, alert } = values;
  assertFormat(format);
  const outs = values.out.map(readOut);
  if (state === undefined && (outs.length > 0 || apply !== undefined)) throw new RangeError("--out and --apply need --state");
  if (health !== undefined && apply === undefined) throw new RangeError("--health needs --apply: it tells what the command did");
  const applyTimeoutMs = seconds("--apply-timeout", values["apply-timeout"], 1, 600);
  const place = state === undefined ? null : { outs, state: resolve(state), ...(apply !== undefined && { apply }), applyTimeoutMs };
  const files = [...outs.map(({ file }) => file), place?.state];
  if (new Set(files).size < files.length) throw new RangeError("--out and --state: each needs a file of its own");
  return {
    format,
    place,
    v4: readUrl("--v4", values.v4),
    v6: readUrl("--v6", values.v6),
    health: health === undefined ? undefined : readUrl("--health", health),
    alert: alert === undefined ? undefined : readUrl("--alert", alert, true),
    tries: integer("--tries", values.tries, 3, 20),
    pauseMs: seconds("--pause", values.pause, 0, 30),
    timeoutMs: seconds("--timeout", values.timeout, 1, 30),
    dryRun: values["dry-run"],
  };
}

function readOut(text: string): { format: Format; file: string } {
  const at = text.indexOf("=");
  const format = text.slice(0, Math.max(0, at));
  const file = text.slice(at + 1);
  if (at < 0 || file === "") throw new RangeError("--out: expected FORMAT=FILE");
  assertFormat(format);
  return { format, file: resolve(file) };
}

/** Over https, except to this machine: whoever can write the list on its way opens the origin, or closes it. */
function readUrl(name: string, text: string, http = false): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = url && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(url.hostname);
  if (!url || !(url.protocol === "https:" || (url.protocol === "http:" && (http || loopback)))) {
    throw new RangeError(`${name}: expected an ${http ? "http" : "https"} address`);
  }
  return url;
}

function seconds(name: string, text: string, min: number, max: number): number {
  return integer(name, text, min, max) * 1000;
}

function integer(name: string, text: string, min: number, max: number): number {
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  assertInteger(name, value, min, max);
  return value;
}
