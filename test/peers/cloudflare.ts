import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import { compile } from "svelte/compiler";
import { toNode } from "../../adapters/node.ts";
import { createTurnstileEmulator, type TurnstileEmulator } from "../../src/emulator/index.ts";

/** An emulator in the place of challenges.cloudflare.com. */
export interface Stead {
  emulator: TurnstileEmulator;
  /** Arguments for a Chromium that finds it there. */
  args: string[];
  close(): void;
}

/** Serves an emulator with TLS on loopback. The libraries have the real host's name built in, so the browser is told that it is here. */
export async function standIn(): Promise<Stead> {
  const emulator = createTurnstileEmulator();
  const server = createServer(certificate(), toNode(emulator.fetch)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    emulator,
    args: [`--host-resolver-rules=MAP challenges.cloudflare.com:443 127.0.0.1:${port}`, "--ignore-certificate-errors"],
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A key and a certificate for two days, signed by itself. */
function certificate(): { key: string; cert: string } {
  const folder = mkdtempSync(`${tmpdir()}/gatepass-tls-`);
  const [key, cert] = [`${folder}/key.pem`, `${folder}/cert.pem`];
  const name = "challenges.cloudflare.com";
  const options = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=DNS:${name}`;
  const made = spawnSync("openssl", [...options.split(" "), "-keyout", key, "-out", cert], { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`Cannot make a certificate: ${made.stderr}`);
  const pair = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
  rmSync(folder, { recursive: true });
  return pair;
}

const svelte: Plugin = {
  name: "svelte",
  setup({ onLoad }) {
    onLoad({ filter: /\.svelte$/ }, ({ path }) => {
      const { js } = compile(readFileSync(path, "utf8"), { filename: path, generate: "client", css: "injected" });
      return { contents: js.code, loader: "js" };
    });
  },
};

/** A page's script with its library in it, as a bundler would make it. */
export async function bundlePage(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(`pages/${name}`, import.meta.url))],
    bundle: true,
    format: "iife",
    write: false,
    jsx: "automatic",
    conditions: ["svelte", "browser"],
    define: {
      "process.env.NODE_ENV": '"development"',
      __VUE_OPTIONS_API__: "true",
      __VUE_PROD_DEVTOOLS__: "false",
      __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: "false",
    },
    plugins: [svelte],
    logLevel: "silent",
  });
  return outputFiles[0]?.text ?? "";
}
