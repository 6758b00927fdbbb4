import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { root } from "./sources.ts";

/** One code block of the README: its language, the file that its first line names, its text. */
export interface Block {
  language: string;
  file: string;
  code: string;
}

/** A user's project: a folder with the packed package installed. */
export interface UserProject {
  folder: string;
  /** Writes a file, in a folder of its own where asked for, and gives its path. */
  write(path: string, text: string): string;
  /** Runs a program to its end. */
  run(file: string, args: readonly string[], env?: Record<string, string>): { status: number | null; output: string };
  /** Starts a server in the background; settles once `url` answers. */
  serve(file: string, args: readonly string[], url: string, env?: Record<string, string>, cwd?: string): Promise<ChildProcess>;
  close(): void;
}

export const bin = (name: string): string => `${root}node_modules/.bin/${name}`;

/** The README's code blocks, in their order. */
export function blocks(readme: string): Block[] {
  return [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = "", code = ""]) => ({
    language,
    file: /^(?:\/\/|<!--) ([\w.-]+)/.exec(code)?.[1] ?? "",
    code,
  }));
}

/** Packs the package as npm would publish it and unpacks it into a project; its dependencies and types are the repository's. */
export function userProject(): UserProject {
  const folder = mkdtempSync(`${realpathSync(tmpdir())}/gatepass-user-`);
  const started: ChildProcess[] = [];
  const environment = (env: Record<string, string>): NodeJS.ProcessEnv => ({
    PATH: process.env["PATH"],
    HOME: folder,
    NO_COLOR: "1",
    ...env,
  });
  const write: UserProject["write"] = (path, text) => {
    mkdirSync(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    writeFileSync(`${folder}/${path}`, text);
    return `${folder}/${path}`;
  };
  write("package.json", JSON.stringify({ type: "module", dependencies: { gatepass: "*" } }));
  mkdirSync(`${folder}/node_modules/gatepass`, { recursive: true });
  const packed = spawnSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: root, encoding: "utf8" });
  if (packed.status !== 0) throw new Error(`Cannot pack: ${packed.stderr}`);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  spawnSync("tar", ["-xzf", `${folder}/${tarball}`, "-C", `${folder}/node_modules/gatepass`, "--strip-components=1"]);
  for (const name of ["jose", "zod", "@types", "undici-types", "redis", "pg"])
    symlinkSync(`${root}node_modules/${name}`, `${folder}/node_modules/${name}`);
  return {
    folder,
    write,
    run(file, args, env = {}) {
      const { status, stdout, stderr } = spawnSync(file, args, { cwd: folder, encoding: "utf8", env: environment(env), timeout: 60_000 });
      return { status, output: `${stdout}${stderr}` };
    },
    async serve(file, args, url, env = {}, cwd = folder) {
      const child = spawn(file, args, { cwd, env: environment(env), stdio: ["ignore", "pipe", "pipe"] });
      started.push(child);
      let said = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
      for (let tries = 0; tries < 400; tries++) {
        if (child.exitCode !== null) break;
        const answered = await fetch(url).catch(() => undefined);
        await answered?.body?.cancel();
        if (answered) return child;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(`${file} ${args.join(" ")} does not answer at ${url}:\n${said}`);
    },
    close() {
      for (const child of started) child.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A port that nobody listens at, now. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/** What the README's examples use of Express, so that they run where it is not installed. */
export function expressStandIn(project: UserProject): void {
  project.write(
    "node_modules/express/package.json",
    JSON.stringify({ name: "express", type: "module", main: "index.js", types: "index.d.ts" }),
  );
  project.write(
    "node_modules/express/index.js",
    `import { createServer } from "node:http";
export default () => {
  const handlers = [];
  return {
    use: (handler) => handlers.push(handler),
    get: (path, handler) => handlers.push((req, res, next) => (req.url === path ? handler(req, Object.assign(res, { send: (text) => res.end(text) })) : next())),
    listen: (port) => createServer((req, res) => {
      let i = 0;
      const next = (error) => (error || !handlers[i] ? res.writeHead(error ? 500 : 404).end() : handlers[i++](req, res, next));
      next();
    }).listen(port),
  };
};
`,
  );
  project.write(
    "node_modules/express/index.d.ts",
    `import type { IncomingMessage, ServerResponse } from "node:http";
type Handler = (request: IncomingMessage, response: ServerResponse & { send(text: string): unknown }, next: (error?: unknown) => void) => void;
export default function express(): { use(handler: Handler): void; get(path: string, handler: Handler): void; listen(port: number): void };
`,
  );
}

/** The README of the repository. */
export function readme(): string {
  return readFileSync(`${root}README.md`, "utf8");
}
