/**
 * The `gatepass` command.
 *
 * @module
 */
import { createRequire } from "node:module";
import { argv, exit, stderr, stdout } from "node:process";
import { encodeBase64url } from "../util/base64url.ts";
import { randomBytes } from "../util/random.ts";
import { EMULATOR_USAGE, runEmulator } from "./emulator.ts";
import { runIpRanges } from "./ip-ranges.ts";
import { POLICY_USAGE, runPolicy } from "./policy.ts";

const USAGE = `Usage: gatepass COMMAND

  secret                     print a new signing secret (48 random bytes)
  emulator [--port N] [--host H]
                             serve a local Turnstile: api.js, siteverify and a control endpoint
  policy check FILE [[METHOD] PATH ...] [--signals JSON] [--holds NAME] [--json]
                             whether a clearance policy is valid, and what requests would get
  ip-ranges [--format FORMAT] [--state FILE] [--out FORMAT=FILE ...] [--apply COMMAND] [--health URL] [--alert URL] [--dry-run]
                             Cloudflare's address ranges, kept with care as JSON, for nginx and nftables

Each command says more with --help; --version prints the version.
`;
/** What a command says of itself; `ip-ranges` does so itself. */
const HELP = new Map([
  ["secret", "Usage: gatepass secret\n\nPrints a new signing secret: 48 random bytes as base64url, for SESSION_SIGNING_SECRET.\n"],
  ["emulator", EMULATOR_USAGE],
  ["policy", POLICY_USAGE],
]);

const [command, ...args] = argv.slice(2);
const help = args.some((arg) => arg === "--help" || arg === "-h");
const own = help && command !== undefined ? HELP.get(command) : undefined;
switch (own === undefined ? command : "--help") {
  case "secret":
    stdout.write(`${encodeBase64url(randomBytes(48))}\n`);
    break;
  case "emulator":
    await runEmulator(args);
    break;
  case "policy":
    await runPolicy(args);
    break;
  case "ip-ranges":
    await runIpRanges(args);
    break;
  case "help":
  case "--help":
  case "-h":
    stdout.write(own ?? USAGE);
    break;
  case "--version":
  case "-v":
    stdout.write(`${versionIn(createRequire(import.meta.url)("gatepass/package.json"))}\n`);
    break;
  default:
    stderr.write(command === undefined ? USAGE : `Cannot run ${JSON.stringify(command)}: no such command\n\n${USAGE}`);
    exit(2);
}

function versionIn(manifest: unknown): string {
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "";
}
