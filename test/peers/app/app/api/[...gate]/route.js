import { createGate } from "gatepass";
import { memoryBoard, scores } from "gatepass/scores";

// As the README has it; the address that a request counts under is told in a header, for the test.
const option = process.env.CLIENT_IP_HEADER;
const gate = createGate({
  secrets: "a signing secret of the tests, at least 32 bytes",
  turnstile: {
    secret: "0x4EMULATORINVISIBLE_SECRET",
    allowedHostnames: ["localhost"],
    allowTestKeys: true,
    siteverifyUrl: process.env.SITEVERIFY_URL,
  },
  ...(option && { clientIp: { header: option } }),
  limits: { session: [{ name: "session", limit: 20, window: 60, by: "ip" }] },
  features: [scores({ board: memoryBoard() })],
});

const handle = async (request) => {
  const answer = await gate.fetch(request);
  const headers = new Headers(answer.headers);
  headers.set("x-problems", (await gate.check()).map(({ code }) => code).join());
  return new Response(answer.body, { status: answer.status, headers });
};

export { handle as DELETE, handle as GET, handle as OPTIONS, handle as POST };
