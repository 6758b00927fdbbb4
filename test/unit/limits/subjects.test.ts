import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalEmail, canonicalPhone, canonicalSubjects, type LimitRule, planLimits, type Subjects } from "../../../src/limits/index.ts";

const request = new Request("http://game.example/");
const rule = (by: LimitRule["by"]): LimitRule => ({ name: "rule", limit: 9, window: 60, by });
/** Key of the first quota that a subject is counted under. */
const keyOf = (who: Subjects, by: LimitRule["by"]): string | undefined =>
  planLimits([rule(by)], canonicalSubjects(who), request)[0]?.quota.key;

const ascii = "abcdefghijklmnopqrstuvwxyz0123456789";
const word = fc.string({ unit: fc.constantFrom(...ascii), minLength: 1, maxLength: 8 });
const anything = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.string({ unit: fc.constantFrom(...'aA.+@ "\\0(9)-/#;x,٤９＠＋é\u0301ßİıΣﬁ\u00a8。\u200d') }),
  fc.emailAddress(),
);

describe("email", () => {
  const spellings = [
    "auser@gmail.com",
    "A.User+x@Gmail.com",
    "a.u.s.e.r+a+b@googlemail.com",
    " auser@gmail.com\n",
    '"a.user"@gmail.com',
    '"a\\user"@GMAIL.COM.',
    "ａｕｓｅｒ＠ｇｍａｉｌ．ｃｏｍ",
    "auser@gmail。com",
    "Auser+@gmail.com",
    "a\u00aduser\u200b@gmail.com",
    "auser@gm\u00adail.com..",
  ];

  it.each(spellings)("%j is one mailbox with the others: no limit is dodged by another spelling", (text) => {
    expect(canonicalEmail(text)).toBe("auser@gmail.com");
    expect(keyOf({ email: text }, "email")).toBe(keyOf({ email: "auser@gmail.com" }, "email"));
  });

  it.each([
    ["A.User+news@Example.org", "a.user@example.org"],
    ["user@BÜCHER.example", "user@xn--bcher-kva.example"],
    ["user@bu\u0308cher.example", "user@xn--bcher-kva.example"],
    ["user@xn--bcher-kva.example", "user@xn--bcher-kva.example"],
    ["jose\u0301@example.org", "josé@example.org"],
    ["+x@example.org", "+x@example.org"],
    ["a@b@example.org", "a@b@example.org"],
    ["user@[IPv6:2001:DB8::1]", "user@[ipv6:2001:db8::1]"],
    ["user@", "user@"],
    ["No Address", "noaddress"],
  ])("%j is counted as %j", (text, expected) => {
    expect(canonicalEmail(text)).toBe(expected);
  });

  it("does not take for one what is two: dots count elsewhere, and so does what is in front of the plus", () => {
    for (const [one, other] of [
      ["a.user@example.org", "auser@example.org"],
      ["auser@gmail.com", "auser@gmail.co"],
      ["auser@gmail.com", "auser@mygmail.com"],
      ["auser@gmail.com", "auser@gmail.com.example"],
      ["user@straße.example", "user@strasse.example"],
      ["a+x@example.org", "b+x@example.org"],
      ["a-x@example.org", "a-y@example.org"],
    ] as const) {
      expect(canonicalEmail(one)).not.toBe(canonicalEmail(other));
    }
  });

  it("is the same once it is canonical, whatever it was", () => {
    fc.assert(
      fc.property(anything, (text) => {
        const once = canonicalEmail(text);
        return canonicalEmail(once) === once;
      }),
      { numRuns: 1000 },
    );
    fc.assert(
      fc.property(anything, fc.constantFrom("gmail.com", "GoogleMail.com", "Bücher.example", "127.1", "a..", ""), (text, domain) => {
        const once = canonicalEmail(`${text}@${domain}`);
        return canonicalEmail(once) === once;
      }),
      { numRuns: 1000 },
    );
    const unstable: string[] = [];
    for (let code = 0; code <= 0x10ffff; code += 32) {
      const text = `a${Array.from({ length: 32 }, (_, i) => String.fromCodePoint(code + i)).join("")}b`;
      const once = canonicalEmail(`${text}@example.org`);
      if (canonicalEmail(once) !== once) unstable.push(code.toString(16));
    }
    expect(unstable).toEqual([]);
  });

  it("gives two mailboxes two keys, and one mailbox one", () => {
    const mailbox = fc.record({ name: word, domain: fc.constantFrom("example.org", "gmail.com", "mail.example") });
    const spelt = ({ name, domain }: { name: string; domain: string }, tag: string, dots: boolean, upper: boolean): string => {
      const box = dots && domain === "gmail.com" ? name.split("").join(".") : name;
      const text = `${box}${tag && `+${tag}`}@${domain}`;
      return upper ? text.toUpperCase() : text;
    };
    const how = fc.tuple(fc.oneof(fc.constant(""), word), fc.boolean(), fc.boolean());
    fc.assert(
      fc.property(mailbox, mailbox, how, how, (a, b, first, second) => {
        const same = a.name === b.name && a.domain === b.domain;
        return (keyOf({ email: spelt(a, ...first) }, "email") === keyOf({ email: spelt(b, ...second) }, "email")) === same;
      }),
    );
  });
});

describe("phone", () => {
  it.each([
    "+4930123456",
    "004930123456",
    "+49 (0)30 / 123-456",
    "+49 ( 0 ) 30 123456",
    "tel:+49-30-123456",
    "4930123456",
    "+49 30 123456 ext. 7",
    "+49 30 123456;ext=7",
    "+49 30 123456 x99",
    "+49 30 123456#1",
    "＋４９３０１２３４５６",
    "+٤٩٣٠١٢٣٤٥٦",
    "+49\u00a030\u200b123456",
    "\u202a+4930123456\u202c",
  ])("%j rings one phone with the others", (text) => {
    expect(canonicalPhone(text)).toBe("4930123456");
    expect(keyOf({ phone: text }, "phone")).toBe(keyOf({ phone: "+4930123456" }, "phone"));
  });

  it("does not guess a country, and counts what is no number as text", () => {
    expect(canonicalPhone("030 123456")).toBe("030123456");
    expect(canonicalPhone("(0)30 123456")).toBe("030123456");
    expect(canonicalPhone("call me")).toBe("call me");
    expect(canonicalPhone("000")).toBe("000");
  });

  it("knows the digits of every script, and is the same once it is canonical", () => {
    const digits = Array.from({ length: 0x11_0000 }, (_, code) => code)
      .filter((code) => code < 0xd800 || code > 0xdfff)
      .map((code) => String.fromCodePoint(code))
      .filter((text) => /\p{Nd}/u.test(text));
    expect(digits.length).toBeGreaterThan(600);
    for (let i = 0; i < digits.length; i += 10) {
      expect(canonicalPhone(`+1${digits.slice(i, i + 10).join("")}`), digits[i]).toBe("10123456789");
    }
    fc.assert(
      fc.property(anything, (text) => {
        const once = canonicalPhone(text);
        return canonicalPhone(once) === once;
      }),
      { numRuns: 1000 },
    );
  });

  it("gives two numbers two keys", () => {
    const number = fc.bigInt({ min: 10n ** 7n, max: 10n ** 15n - 1n }).map(String);
    fc.assert(
      fc.property(
        number,
        number,
        (a, b) => (keyOf({ phone: `+${a}` }, "phone") === keyOf({ phone: b.split("").join(" ") }, "phone")) === (a === b),
      ),
    );
  });
});

describe("address", () => {
  it("is one key in every spelling, and two for two networks", () => {
    const groups = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 8 });
    const full = (parts: number[]): string => parts.map((part) => part.toString(16).padStart(4, "0")).join(":");
    fc.assert(
      fc.property(groups, groups, (a, b) => {
        const [one, other] = [
          ["2001", ...a.slice(1)],
          ["2001", ...b.slice(1)],
        ].map((parts) => parts.join(":"));
        const same = a.slice(1, 4).join() === b.slice(1, 4).join();
        const long = full([0x2001, ...a.slice(1)]).toUpperCase();
        return (
          keyOf({ ip: one }, "ip") === keyOf({ ip: long }, "ip") &&
          keyOf({ ip: one }, "ip") === keyOf({ ip: `${one}%eth0` }, "ip") &&
          (keyOf({ ip: one }, "ip") === keyOf({ ip: other }, "ip")) === same &&
          (keyOf({ ip: one }, "ip-prefix") === keyOf({ ip: other }, "ip-prefix")) === (a.slice(1, 3).join() === b.slice(1, 3).join())
        );
      }),
    );
    fc.assert(
      fc.property(fc.ipV4(), fc.ipV4(), (a, b) => {
        return (
          keyOf({ ip: a }, "ip") === keyOf({ ip: `::ffff:${a}` }, "ip") && (keyOf({ ip: a }, "ip") === keyOf({ ip: b }, "ip")) === (a === b)
        );
      }),
    );
  });

  it("gives the prefix where only the address is known, and takes what is already a key", () => {
    for (const [ip, key, prefix] of [
      ["203.0.113.7", "203.0.113.7", "203.0.113"],
      ["2001:db8:1:2:3::4", "20010db800010002", "20010db80001"],
    ] as const) {
      const once = canonicalSubjects({ ip });
      expect(once).toEqual({ ip: key, "ip-prefix": prefix });
      expect(canonicalSubjects(once)).toEqual(once);
      expect(canonicalSubjects({ ip: key })).toEqual(once);
      expect(canonicalSubjects({ "ip-prefix": key })).toEqual({ "ip-prefix": prefix });
    }
    expect(canonicalSubjects({ ip: "somebody", "ip-prefix": "999.1.1" })).toEqual({ ip: undefined, "ip-prefix": undefined });
  });

  it("touches nothing else: the spelling of an id is the application's", () => {
    const who = { user: " U ", account: "A.b+c@Gmail.com", device: "D", session: "S", player: "P", route: "/R" };
    expect(canonicalSubjects(who)).toEqual(who);
  });
});

describe("keys of all subjects", () => {
  it("two different values of any combination never share one, and no subject passes for another", () => {
    const names = ["device", "user", "account", "session", "player", "route"] as const;
    const text = fc.oneof(word, fc.string({ minLength: 1 }), fc.string({ unit: "binary", minLength: 1 }));
    const combination = fc.tuple(
      fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }),
      fc.array(text, { minLength: 3, maxLength: 3 }),
    );
    fc.assert(
      fc.property(combination, fc.array(text, { minLength: 3, maxLength: 3 }), ([by, values], others) => {
        const who = (given: string[]): Subjects => Object.fromEntries(by.map((name, i) => [name, given[i]]));
        const same = by.every((_, i) => values[i] === others[i]);
        return (keyOf(who(values), by) === keyOf(who(others), by)) === same;
      }),
    );
  });

  it("of an application's function are texts too, whatever it returns", () => {
    const of = (value: unknown): string | undefined => Reflect.apply(keyOf, undefined, [{}, () => value]);
    expect(of(7)).toBe(of("7"));
    expect(of(7)).not.toBe(of(8));
    for (const nothing of [undefined, null, ""]) expect(of(nothing)).toBeUndefined();
  });
});
