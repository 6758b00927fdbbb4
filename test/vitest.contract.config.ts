import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** The contracts on their real backends, and what those do when they fail. */
export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    setupFiles: ["test/helpers/audit.ts"],
    include: ["test/contract/**/*.test.ts"],
  },
});
