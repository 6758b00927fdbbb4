import { describe, expect, it } from "vitest";
import { clientAddress } from "../../../src/http/index.ts";
import { canonicalSubjects, createLimiter, planLimits, type Subjects } from "../../../src/limits/index.ts";
import { memoryStore } from "../../../src/store/index.ts";

/**
 * The attack: one mailbox, phone or address has as many buckets as it has spellings that a mail program, a gateway or a proxy still understands. Each text
 * here is counted in the bucket of the plain one, or in the one that all texts share which are not plain.
 */
const request = new Request("https://game.example/");
const keyOf = (who: Subjects, by: "email" | "phone" | "ip" | "ip-prefix"): { key: string | undefined; limit: number | undefined } => {
  const [layer] = planLimits([{ name: "rule", limit: 50, window: 60, by }], canonicalSubjects(who), request);
  return { key: layer?.quota.key, limit: layer?.rule.limit as number | undefined };
};

const MAILBOX = "auser@gmail.com";
const NOT_PLAIN_EMAIL = [
  "A <auser@gmail.com>",
  "<auser@gmail.com>",
  "auser@gmail.com (A)",
  "mailto:auser@gmail.com",
  "MAILTO:auser@gmail.com?subject=1",
  "smtp:auser@gmail.com",
  "auser@gmail.com,",
  "auser@gmail.com;",
  ",auser@gmail.com",
  "auser@gmail.com,b@example.org",
  "b@example.org;auser@gmail.com",
  "auser%00@gmail.com",
  "auser@gmail.com%00",
  "auser@gmail%2ecom",
  "auser%40gmail.com",
  "a\u0000user@gmail.com",
  "auser\u0000@gmail.com",
  "auser@gmail.com\u0000",
  "auser@gmail.com\u007f",
  "\u001bauser@gmail.com",
  "auser@(x)gmail.com",
  "auser(x)@gmail.com",
  "(x)auser@gmail.com",
  "auser@gmail(x).com",
  "auser@gmail.com(x)",
  "auser@gmail.com:25",
  "auser@gmail.com/x",
  "auser@gmail.com?x",
  "auser@gmail.com#x",
  "auser@[142.250.27.27]",
  "auser@142.250.27.27",
  "auser@0x8efa1b1b",
  "auser@2398100251",
  "auser@[IPv6:2a00::1]",
  "auser%gmail.com@relay.example",
  "gmail.com!auser@relay.example",
  "@relay.example:auser@gmail.com",
  "=?utf-8?q?auser?=@gmail.com",
  "“auser”@gmail.com",
  "auser@localhost",
  "auser@",
  "@gmail.com",
  "auser",
  "auser@@gmail.com",
  "a@b@gmail.com",
  "auser@-gmail.com-",
  "auser&#64;gmail.com",
  // nodemailer and others take the first or the last word that has an "@", or leave a quoted word out.
  "auser@gmail.com xa",
  "xa auser@gmail.com",
  "auser@gmail.com\nxa",
  "auser@gmail.com\txa",
  "auser@gmail.com\r\n.xa.example",
  "xa\u3000auser@gmail.com",
  "auser@gmail.com\u00a0xa",
  "auser@gmail.com\ufeffxa",
  "auser@gmail.com\u2028xa",
  "auser@gmail.com\u00a8xa",
  "auser@gmail.com .xa.example",
  "auser @gmail.com",
  "auser@ gmail.com",
  '"xa"auser@gmail.com',
  'auser"xa"@gmail.com',
  'auser@gmail.com"xa"',
  'auser@"xa"gmail.com',
  "＂xa＂auser@gmail.com",
  '"a b"@gmail.com',
  '"auser@gmail.com"@xa.example',
  `${"a".repeat(400)}@gmail.com`,
];

const PHONE = "+491511234567";
const SAME_PHONE = [
  "+4901511234567",
  "+49 (0) 151 1234567",
  "+49 0 151-123-4567",
  "01149 1511234567",
  "+01149 151 1234567",
  "0011 49 151 1234567",
  "0049 0151 1234567",
  "+0049 151 1234567",
  "+049 151 1234567",
  "491511234567",
  "49 0151 1234567",
  "TEL:+49-151-1234567",
  "tel:+491511234567;phone-context=x",
  "+491511234567 ext 1",
  "+491511234567,,2",
  "+491511234567#3",
  "+491511234567 p4",
  "＋４９１５１１２３４５６７",
  "+49\u00ad1511234567",
  "+49\u20131511234567",
  "+49/151/1234567",
];
const NOT_PLAIN_PHONE = [
  "a1 +491511234567",
  "a2 +491511234567",
  "call +491511234567",
  "1;+491511234567",
  "sms:+491511234567",
  "whatsapp:+491511234567",
  "++491511234567",
  "49+1511234567",
  "+491511234567+",
  "+491511234567=1",
  "+491511234567&1",
  "+491511234567\u00001",
  "+49%201511234567",
  "%2B491511234567",
  "+49[0]1511234567",
  "+49_1511234567",
  "\u0000+491511234567",
  "+49",
  "1",
  "+491511234567\n1",
  "+491511234567\r\n12",
  "1\n+491511234567",
  "+491511234567\u20281",
  "+1 800 FLOWERS",
  "0000000000",
  "+49151123456712345",
  "9".repeat(400),
  "call me",
];

describe("spellings of one mailbox", () => {
  const shared = keyOf({ email: "no address" }, "email");

  it.each(NOT_PLAIN_EMAIL)("%j has no bucket of its own", (email) => {
    const counted = keyOf({ email }, "email");
    expect(counted).toEqual(shared);
    expect(counted.key).not.toBe(keyOf({ email: MAILBOX }, "email").key);
    expect(counted.limit).toBe(5);
  });

  it("of other kinds than text neither: a body's JSON may hold anything", () => {
    for (const email of [5, true, ["auser@gmail.com"], { $gt: "" }]) {
      expect(Reflect.apply(keyOf, undefined, [{ email }, "email"])).toEqual(shared);
    }
  });

  it("leaves plain ones alone, of any script and mail provider", () => {
    const plain = [
      "o'brien@mail.example",
      "a.user+x@example.org",
      "josé@example.org",
      "用户@例子.广告",
      "user_1@xn--bcher-kva.example",
      "+x@mail.example",
    ];
    for (const email of [...plain, "a=b@bounce.mail.example", "u/x@mail.example", "UPPER@MAIL.EXAMPLE"]) {
      expect(keyOf({ email }, "email").limit, email).toBe(50);
    }
    expect(new Set(plain.map((email) => keyOf({ email }, "email").key)).size).toBe(plain.length);
  });

  it("nobody gets more than a tenth of the limit out of all of them together", async () => {
    const limiter = createLimiter({
      store: memoryStore(),
      rules: [
        { name: "code", limit: 10, window: 900, by: "email" },
        { name: "network", limit: 10_000, window: 900, by: "ip-prefix" },
      ],
    });
    const ask = async (email: string, i: number): Promise<boolean> => (await limiter.limit({ ip: `198.51.100.${i}`, email })).success;
    const passed = await Promise.all(NOT_PLAIN_EMAIL.map(ask));
    expect(passed.filter((success) => success)).toHaveLength(1);
    // And none out of the bucket of the mailbox itself.
    expect(await ask(MAILBOX, 1)).toBe(true);
  });
});

describe("spellings of one phone", () => {
  const shared = keyOf({ phone: "call me" }, "phone");

  it.each(SAME_PHONE)("%j is counted with the plain number", (phone) => {
    expect(keyOf({ phone }, "phone")).toEqual(keyOf({ phone: PHONE }, "phone"));
  });
  it.each(NOT_PLAIN_PHONE)("%j has no bucket of its own", (phone) => {
    expect(keyOf({ phone }, "phone")).toEqual(shared);
    expect(shared.limit).toBe(5);
  });
  it("what is dialled inside a country alone makes no second number", () => {
    for (const [one, other] of [
      ["+1 212 555 0100", "+1 1 212 555 0100"],
      ["+7 495 123 45 67", "+7 8 495 123 45 67"],
      ["+44 20 7946 0000", "+44 (0)20 7946 0000"],
      ["+353 87 123 4567", "+353087 123 4567"],
      ["+39 06 1234 5678", "+3906 1234 5678"],
    ] as const) {
      expect(keyOf({ phone: one }, "phone")).toEqual(keyOf({ phone: other }, "phone"));
    }
    expect(keyOf({ phone: "+7 843 123 45 67" }, "phone")).not.toEqual(keyOf({ phone: "+7 43 123 45 67" }, "phone"));
  });
});

describe("spellings of one address", () => {
  const shared = keyOf({ ip: "nowhere" }, "ip");
  const PEER = "203.0.113.7";
  const behind = clientAddress({ trustedProxies: ["192.0.2.0/24"] });
  const forwarded = (entry: string): { ip?: string } => {
    const seen = behind(new Request("https://game.example/", { headers: { "x-forwarded-for": entry } }), {
      kind: "node",
      env: undefined,
      peer: "192.0.2.1",
      waitUntil: () => undefined,
    });
    return seen.ip === undefined ? {} : { ip: seen.ip };
  };

  it.each([
    "203.000.113.007",
    "203.0.113.07",
    "0203.0.113.7",
    "0313.0.0161.07",
    "0xcb.0x0.0x71.0x7",
    "0xcb007107",
    "3405803783",
    "203.0.28935",
    "203.0.113.7.",
    "203.0.113.7/32",
    "203.0.113.7%eth0",
    "203.0.113.7:80:80",
    "[203.0.113.7]",
    "２０３.0.113.7",
    "203.0.113.7\u0000",
    "::ffff:203.0.113.007",
    "::ffff:203.0.113.7%0%1",
    "unknown",
    "_hidden",
  ])("%j, forwarded or given, is nobody's: one bucket, a tenth of the limit", (entry) => {
    for (const by of ["ip", "ip-prefix"] as const) {
      expect(keyOf({ ip: entry }, by)).toEqual({ key: keyOf({}, by).key, limit: 5 });
      expect(keyOf(entry.includes("\u0000") || /[^\x20-\x7e]/.test(entry) ? {} : forwarded(entry), by)).toEqual({
        key: keyOf({}, by).key,
        limit: 5,
      });
    }
    expect(shared.limit).toBe(5);
  });

  it.each([
    "203.0.113.7:80",
    "203.0.113.7:08080",
    "::ffff:203.0.113.7",
    "[::ffff:203.0.113.7]:443",
    "::FFFF:cb00:7107",
    "::ffff:203.0.113.7%eth0",
  ])("%j, forwarded, is the address itself", (entry) => {
    expect(keyOf(forwarded(entry), "ip")).toEqual(keyOf({ ip: PEER }, "ip"));
  });

  it.each([
    "2001:db8::1",
    "2001:0db8:0:0:0:0:0:1",
    "2001:DB8::0.0.0.1",
    "[2001:db8::1]",
    "[2001:db8::1]:443",
    "2001:db8::1%eth0",
    "2001:db8::1%25eth0",
  ])("%j, forwarded, is one network with the others", (entry) => {
    expect(keyOf(forwarded(entry), "ip")).toEqual(keyOf({ ip: "2001:db8::1" }, "ip"));
  });
});

describe("names of subjects", () => {
  it("a misspelt one is refused: the rule by the one that was meant would not apply", async () => {
    const limiter = createLimiter({
      store: memoryStore(),
      rules: [{ name: "a", limit: 5, window: 60, by: "ip" }],
      subjects: () => JSON.parse('{"emial":"x"}'),
    });
    await expect(Reflect.apply(limiter.limit, undefined, [{ ip: PHONE, emial: MAILBOX }])).rejects.toThrow(/"emial", did you mean "email"/);
    await expect(limiter.limit(request)).rejects.toThrow(/"emial"/);
  });
});
