// `bun contexts.server.ts` and `deno serve contexts.server.ts`: a gate of a function, served as the runtime serves a default export.
import { createGate } from "../../../src/gate/index.ts";
import { memoryBoard, scores } from "../../../src/scores/index.ts";

const gate = createGate(() => ({
  secrets: "a signing secret of the tests, at least 32 bytes",
  turnstile: { secret: "secret-of-the-tests", allowedHostnames: ["game.example"] },
  features: [scores({ board: memoryBoard() })],
}));

// With a port of its own choice, which both runtimes print.
export default { port: 0, hostname: "127.0.0.1", fetch: gate.fetch };
