// Before Next.js starts: what goes to Cloudflare goes to the emulator, whose address is in the environment.
const { fetch } = globalThis;
globalThis.fetch = (input, init) =>
  typeof input === "string"
    ? fetch(input.replace("https://challenges.cloudflare.com", process.env.EMULATOR_URL), init)
    : fetch(input, init);
