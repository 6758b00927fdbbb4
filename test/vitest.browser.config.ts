import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  root: fileURLToPath(new URL("..", import.meta.url)),
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false,
    // A real browser on a busy machine: what fails in CI is tried once more, and the report says so.
    retry: process.env["CI"] ? 1 : 0,
    setupFiles: ["test/helpers/audit.ts"],
    include: ["test/browser/**/*.test.ts"],
  },
});
