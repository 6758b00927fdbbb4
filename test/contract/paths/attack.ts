import { connect } from "node:net";
import fc from "fast-check";
import { expect } from "vitest";
import { PROTECTED } from "./app.ts";

/** One request as it goes over the wire: its target and its Host header. */
export interface Spelling {
  target: string;
  host: string;
}

/** What came back: the status (0: the server closed the connection), and which route was reached. */
interface Answer {
  status: number;
  reached: string | null;
  error: string | undefined;
}

/** What a character may be written as. */
function letter(character: string): fc.Arbitrary<string> {
  const hex = character.charCodeAt(0).toString(16);
  const wide = encodeURIComponent(String.fromCodePoint((character.codePointAt(0) ?? 0) + 0xfee0));
  const forms = [
    character.toUpperCase(),
    `%${hex}`,
    `%${hex.toUpperCase()}`,
    `%25${hex}`,
    `%25%3${hex[0]}${hex[1]}`,
    wide,
    character === "s" ? "%C5%BF" : character,
  ];
  return fc.oneof({ weight: 30, arbitrary: fc.constant(character) }, { weight: 1, arbitrary: fc.constantFrom(...forms) });
}

const word = (text: string): fc.Arbitrary<string> => fc.tuple(...[...text].map(letter)).map((all) => all.join(""));
/** `plain` nearly always, so that several oddities are seldom together: each has to be found alone. */
const rarely = (plain: string, ...odd: string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 8, arbitrary: fc.constant(plain) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });

const slash = rarely(
  "/",
  ...[
    "//",
    "/./",
    "/x/../",
    "%2f",
    "%2F",
    "\\",
    "%5c",
    "%5C",
    "/%2e/",
    "/x/%2e%2e/",
    "/x/.%2E/",
    ";/",
    ";v=1/",
    "%3b/",
    "/;/",
    "/..;/",
    "./",
    "%20/",
    "../",
  ],
  ...[
    "/x%2f..%2f",
    "/x/..%2f",
    "/x/..%5c",
    "%252f",
    "%EF%BC%8F",
    "/x/%E2%80%A5/",
    "/%E2%80%A4/",
    "%00/",
    "%0d%0a/",
    "?/",
    "#/",
    "%3f/",
    "%23/",
    "\t/",
    "%c0%af",
    "%u002f",
  ],
);
const before = rarely(
  "",
  ...[
    "/public/..",
    "/public/%2e%2e",
    "/public/..;",
    "/health/..%2f",
    "/health;",
    "/public/../..",
    "/.",
    "/",
    "\\",
    "http://game.example",
    "HTTP://other.example:81",
  ],
  ...[
    "http://evil.example?",
    "http://u@evil.example",
    "http://evil.example#",
    "http://evil.example\\",
    "//evil.example",
    "///",
    "/public/%E2%80%A5",
    "?",
    "#",
    "http:",
  ],
);
const after = rarely(
  "",
  ...[
    "/",
    "//",
    "/.",
    "/..",
    "/%2e",
    "%00",
    "%0a",
    "%0A",
    "%09",
    "%7f",
    "%C2%85",
    "%ff",
    "%C3",
    "%",
    "%zz",
    "%25",
    "%2541",
    "%c0%ae",
    ";",
    ";v=1",
    "%3b",
    "%3B",
    "\\",
    "%5c",
  ],
  ...[
    "%2f",
    "%2F",
    ".",
    "..",
    "...",
    "%20",
    "%20.",
    "?",
    "?x",
    "%3F",
    "%3fx",
    "#",
    "#x",
    "%23",
    "%E2%80%A6",
    "%F0%9F%98%80",
    "%E2%80%A8",
    "\t",
    "\u00e9",
    "{",
    '"',
    "|",
    "+",
    "@",
    "%40",
  ],
);
const host = rarely(
  "game.example",
  ...[
    "evil.example?",
    "evil.example#",
    "evil.example/",
    "evil.example/public",
    "evil.example\\",
    "u@evil.example",
    "GAME.example:80",
    "a, b",
    "",
    "evil.example?x=",
    "[::1]",
  ],
);

/** Spellings of the protected paths, and of free ones beside them: honest, odd, and broken. */
const spelling: fc.Arbitrary<Spelling> = fc
  .oneof(
    ...["payment", "payment", "admin", "files"].map((section) =>
      fc.tuple(
        before,
        slash,
        word("api"),
        slash,
        word(section),
        slash,
        fc.oneof(word("42"), word("status"), word("receipt"), word("a-b"), fc.constantFrom("@receipt", "%40receipt")),
        after,
      ),
    ),
    fc.tuple(before, slash, word("api"), slash, word("admin"), after),
    fc.tuple(
      before,
      slash,
      fc.constantFrom("public", "health", "api/cheap"),
      slash,
      word("api"),
      slash,
      word("payment"),
      slash,
      word("42"),
      after,
    ),
  )
  .chain((parts) => fc.record({ target: fc.constant(parts.join("")), host }));

/** For another thousand spellings: set it. The same ones each time, so that a failure can be seen again. */
export const SEED: number = Number(process.env["PATHS_SEED"] ?? 1);

export function spellings(count: number): Spelling[] {
  return fc.sample(spelling, { numRuns: count, seed: SEED });
}

/** Sends bytes, for no client of HTTP would. */
export function send(port: number, { target, host: name }: Spelling, headers: Record<string, string> = {}): Promise<Answer> {
  const lines = Object.entries({ "Content-Length": "0", Connection: "close", "X-Device-Id": "phone-1", ...headers });
  const text = `POST ${target} HTTP/1.1\r\nHost: ${name}\r\n${lines.map(([key, value]) => `${key}: ${value}\r\n`).join("")}\r\n`;
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(Buffer.from(text, "latin1")));
    let answer = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => {
      answer += chunk;
      // workerd keeps a connection open for 5 s that it was asked to close.
      if (isWhole(answer)) socket.destroy();
    });
    // Some servers hang up on what they cannot read, some only stop to answer.
    socket.setTimeout(20_000, () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => {
      const [, json = "{}"] = /\r\n\r\n[^{]*(\{.*\})/s.exec(answer) ?? [];
      const { reached = null, error } = read(json);
      resolve({ status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0), reached, error });
    });
  });
}

/** Whether an answer has come to its end, as far as it says itself. */
function isWhole(answer: string): boolean {
  const at = answer.indexOf("\r\n\r\n");
  const length = /^content-length: (\d+)/im.exec(answer.slice(0, at))?.[1];
  return at > 0 && (length === undefined ? answer.endsWith("\r\n0\r\n\r\n") : answer.length - at - 4 >= Number(length));
}

/** The clearance of a thousand uses that the cheap route has. */
export async function buy(port: number): Promise<string> {
  const plain = { target: "/api/cheap/x", host: "game.example" };
  const text = await fetch(`http://127.0.0.1:${port}${plain.target}`, { method: "POST", headers: { "x-router": "buy" } }).then((answer) =>
    answer.text(),
  );
  const { app_clearance_token: token } = JSON.parse(text);
  expect([text, (await send(port, plain, { "x-app-clearance": token })).reached]).toEqual([text, "cheap"]);
  return token;
}

/**
 * Reached by the router under a protected pattern implies that the policy protected it: without a clearance, and with one for a cheaper route.
 *
 * @param routers names of the routers that one server has; each spelling is sent to all of them
 * @param spare as many spellings at least have to get past the router, other than the plain ones: else nothing was tried
 */
export async function attack(
  port: number,
  all: readonly Spelling[],
  token: string,
  routers: readonly string[] = [""],
  spare = 20,
): Promise<void> {
  const odd = new Set<string>();
  const tried = all.flatMap((one) => routers.map((router) => ({ one, router })));
  await parallel(tried, async ({ one, router }) => {
    const to = { "x-router": router };
    const bare = await send(port, one, { ...to, "x-bare": "1" });
    if (!PROTECTED.includes(bare.reached ?? "")) return;
    if (!/^\/api\/\w+\/[\w-]+$/.test(one.target)) odd.add(one.target);
    for (const headers of [to, { ...to, "x-app-clearance": token }]) {
      const { status, reached, error } = await send(port, one, headers);
      // The adapter for Node has answers of its own to a Host that is none and to a path that a parser rewrites.
      const protectedBy = ["400 PATH_AMBIGUOUS", "403 TURNSTILE_REQUIRED", "400 BODY_INVALID", "404 NOT_FOUND"].includes(
        `${status} ${error}`,
      );
      expect({ ...one, router, status, reached, error, protectedBy }).toMatchObject({ reached: null, protectedBy: true });
    }
  });
  expect(odd.size).toBeGreaterThanOrEqual(spare);
}

/** What honest clients send is asked for a challenge, not refused. */
export async function honest(port: number, routers: readonly string[] = [""]): Promise<void> {
  const names = ["42", "a-b", "caf%C3%A9", "a%20b", "+@:~!$&*,=()[]|", "100%25", "%F0%9F%98%80", "it's", "x.y"];
  const tried = names.flatMap((name) => routers.map((router) => ({ name, router })));
  await parallel(tried, async ({ name, router }) => {
    const spelled = { target: `/api/payment/${name}?q=it's`, host: "GAME.example:80" };
    const { reached } = await send(port, spelled, { "x-router": router, "x-bare": "1" });
    const { status, error } = await send(port, spelled, { "x-router": router });
    expect([name, router, reached, status, error]).toEqual([name, router, "payment", 403, "TURNSTILE_REQUIRED"]);
  });
}

/** A few at a time: a server on a busy machine has to answer each. */
async function parallel<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const queue = [...all];
  const worker = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await work(one);
  };
  await Promise.all(Array.from({ length: 8 }, worker));
}

function read(json: string): { reached?: string | null; error?: string } {
  try {
    return Object(JSON.parse(json));
  } catch {
    return {};
  }
}
