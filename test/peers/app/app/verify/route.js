import { validateTurnstileToken } from "next-turnstile";

export async function POST(request) {
  return Response.json(await validateTurnstileToken({ token: await request.text(), secretKey: "0x4EMULATORINVISIBLE_SECRET" }));
}
