import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { describe } from "vitest";

/** Where the browser is; another one by the environment variable CHROMIUM. */
const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** Arguments of a Chromium that phones nobody. */
export const QUIET: readonly string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Launches a headless Chromium that phones nobody, with further arguments if need be. The caller closes it. */
export function launchBrowser(args: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [...QUIET, ...args],
  });
}

/** `describe` for suites that need the browser. Without one it fails in CI and is skipped, loudly, elsewhere. */
export function describeBrowser(name: string, suite: () => void): void {
  if (existsSync(executablePath)) {
    describe(name, suite);
    return;
  }
  const message = `No browser at "${executablePath}" (set CHROMIUM to the path of one): "${name}" cannot run`;
  if (process.env["CI"]) throw new Error(message);
  console.warn(`SKIPPED: ${message}`);
  describe.skip(name, suite);
}
