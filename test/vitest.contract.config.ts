import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The contracts on their real backends, and what those do when they fail. */
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    expect: { poll: { timeout: 60_000 } },
    testTimeout: 240_000,
    hookTimeout: 240_000,
    pool: "forks",
    maxWorkers: 2,
    setupFiles: ["test/helpers/audit.ts"],
    include: ["test/contract/**/*.test.ts"],
  },
});
