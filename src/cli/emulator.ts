import { createServer } from "node:http";
import { exit, stderr, stdout } from "node:process";
import { parseArgs } from "node:util";
import { toNode } from "../../adapters/node.ts";
import { createTurnstileEmulator, EMULATOR_WIDGETS } from "../emulator/index.ts";
import { assertInteger } from "../util/assertions.ts";

/** What `gatepass emulator --help` says. */
export const EMULATOR_USAGE: string = `Usage: gatepass emulator [--port N] [--host H]

Serves a local Turnstile until the process ends: api.js, siteverify and a control endpoint, for development and tests.

  --port N   default 8788; 0 takes any free one
  --host H   the address to listen on, default 127.0.0.1
`;

/** `gatepass emulator [--port N] [--host H]`: serves an emulator until the process ends. Port 0 takes any free one. */
export async function runEmulator(args: string[]): Promise<void> {
  let options: { port: number; host: string };
  try {
    options = read(args);
  } catch (error) {
    stderr.write(`Cannot start the emulator: ${error instanceof Error ? error.message : error}\n`);
    exit(2);
  }
  const { port, host } = options;
  const { fetch } = createTurnstileEmulator();
  const server = createServer(toNode({ fetch, handle: fetch }));
  server.once("error", (error) => {
    stderr.write(`Cannot start the emulator: ${error.message}\n`);
    exit(1);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const address = server.address();
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${typeof address === "object" ? address?.port : port}`;
  const widgets = EMULATOR_WIDGETS.map((widget) => {
    const kind = widget.interactive ? "asks a person" : widget.mode;
    return `  ${widget.sitekey.padEnd(27)} ${widget.secrets[0]?.padEnd(35)} ${kind}\n`;
  });
  stdout.write(`Turnstile emulator at ${origin}

  api.js       ${origin}/turnstile/v0/api.js
  siteverify   ${origin}/turnstile/v0/siteverify     (siteverifyUrl, with allowTestKeys: true)
  control      POST ${origin}/turnstile/control/{mint,fault,clear,advance,counts}

  Sitekey                     Secret                              Widget
${widgets.join("")}
Cloudflare's test keys work too. Nothing here is secret: never use it in production.
`);
}

function read(args: string[]): { port: number; host: string } {
  const { values } = parseArgs({
    args,
    options: { port: { type: "string", default: "8788" }, host: { type: "string", default: "127.0.0.1" } },
  });
  const port = /^\d+$/.test(values.port) ? Number(values.port) : Number.NaN;
  assertInteger("port", port, 0, 65_535);
  return { port, host: values.host };
}
