// Makes a fresh machine ready: the pinned npm packages, and browsers and databases from the distribution where that is allowed.
// Plain JavaScript for the system's own Node, since nothing is installed yet when it runs.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The pinned Node, once installed. */
export const pinnedNode = `${root}node_modules/.bin/node`;

/** Installs npm's packages if they are missing or older than the lockfile. */
export function installPackages() {
  const marker = `${root}node_modules/.package-lock.json`;
  if (existsSync(marker) && existsSync(pinnedNode) && statSync(marker).mtimeMs >= statSync(`${root}package-lock.json`).mtimeMs) return;
  console.log("Installing the npm packages");
  execFileSync("npm", ["ci", "--no-audit", "--no-fund"], { cwd: root, stdio: "inherit" });
}

/** The server, not only the client: its programs are in a folder for each version. */
function hasPostgres() {
  const folder = "/usr/lib/postgresql";
  return existsSync(folder) && readdirSync(folder).some((version) => existsSync(`${folder}/${version}/bin/initdb`));
}

/** What the tests want of the distribution: the package, what else comes with it, and how to see that it is there. */
const SYSTEM = {
  chromium: { packages: ["chromium", "fonts-dejavu-core"], installed: () => existsSync("/usr/bin/chromium") },
  firefox: { packages: ["firefox-esr"], installed: () => existsSync("/usr/bin/firefox-esr") },
  redis: { packages: ["redis-server"], installed: () => existsSync("/usr/bin/redis-server") },
  postgres: { packages: ["postgresql"], installed: hasPostgres },
  nginx: { packages: ["nginx"], installed: () => existsSync("/usr/sbin/nginx") },
};

/** Installs what is missing with apt-get where we are root; tells by name what is there at last. */
export function installSystemPackages() {
  const wanted = Object.values(SYSTEM).filter(({ installed }) => !installed());
  if (wanted.length > 0 && process.getuid?.() === 0 && spawnSync("apt-get", ["--version"]).status === 0) {
    console.log(`Installing ${wanted.flatMap(({ packages }) => packages).join(", ")}`);
    // Servers are started by the tests, on ports of their own: none is wanted as a service of the machine.
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
    // One by one: what this distribution lacks is skipped alone.
    const installs = wanted.map(({ packages }) => ["install", "-y", "--no-install-recommends", ...packages]);
    for (const args of [["update"], ...installs]) {
      const { status, stderr } = spawnSync("apt-get", args, { env, encoding: "utf8" });
      if (status !== 0) console.error(`Cannot run apt-get ${args.join(" ")}: ${stderr?.trim().split("\n").pop() ?? "unknown reason"}`);
    }
  }
  return Object.fromEntries(Object.entries(SYSTEM).map(([name, { installed }]) => [name, installed()]));
}

/** Goes on under the pinned Node, if this is another. Ends the process when it did. */
export function continueOnPinnedNode(script) {
  const version = JSON.parse(readFileSync(`${root}node_modules/node/package.json`, "utf8")).version;
  if (process.versions.node === version) return;
  const { status } = spawnSync(pinnedNode, [script, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
  process.exit(status ?? 1);
}
