import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** What others wrote for Turnstile, on the emulator. */
export default defineConfig({
  root: fileURLToPath(new URL("../..", import.meta.url)),
  test: {
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
    include: ["test/peers/*.test.ts"],
  },
});
