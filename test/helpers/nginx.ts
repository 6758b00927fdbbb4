import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where Debian's package puts it. */
const NGINX = "/usr/sbin/nginx";

/** Whether nginx is installed. */
export function hasNginx(): boolean {
  return existsSync(NGINX);
}

/** A real nginx on loopback. */
export interface Nginx {
  readonly port: number;
  /** Its folder: for sockets. */
  readonly folder: string;
  /** What its error log says. */
  errors(): string;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/**
 * Starts nginx and waits until it accepts connections.
 *
 * @param http the directives inside `http { }`, given the port to listen on and the folder
 */
export async function startNginx(http: (port: number, folder: string) => string): Promise<Nginx> {
  // Below the ports that the system hands out. One that is taken ends nginx: then another.
  for (let attempt = 0; ; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const folder = mkdtempSync(join(tmpdir(), "gatepass-nginx-"));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/${name};`);
    const conf = `worker_processes 1; pid ${folder}/pid; daemon off; master_process off; error_log stderr;
events { worker_connections 64; }
http { access_log off; ${temporary.join(" ")} ${http(port, folder)} }`;
    writeFileSync(`${folder}/nginx.conf`, conf);
    const child = spawn(NGINX, ["-e", "stderr", "-p", folder, "-c", `${folder}/nginx.conf`], { stdio: ["ignore", "ignore", "pipe"] });
    let errors = "";
    child.stderr.on("data", (chunk) => {
      errors += chunk;
    });
    const stop = async (): Promise<void> => {
      process.off("exit", kill);
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    };
    const kill = (): void => void child.kill("SIGKILL");
    process.on("exit", kill);
    if (await accepts(child, port)) return { port, folder, errors: () => errors, stop };
    await stop();
    if (attempt === 9) throw new Error(`nginx did not start: ${errors}`);
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

/** Whether it serves; false when it ended before. */
async function accepts(child: ChildProcess, port: number): Promise<boolean> {
  while (child.exitCode === null && child.signalCode === null) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}
