import { describe, expect, it } from "vitest";
import { isHost } from "../../../src/http/index.ts";

describe("what a Host header may be", () => {
  it.each([
    ...["game.example", "GAME.Example", "game.example.", "game.example:443", "game.example:", "xn--gme-qla.example"],
    ...["a_b.example", "localhost", "127.0.0.1:8080", "[::1]", "[::1]:8080", "[::ffff:1.2.3.4]", "game.example:0", "game.example:65535"],
  ])("%s", (host) => {
    expect(isHost(host)).toBe(true);
  });

  it.each([
    ...["", " ", "a b", "evil?", "evil/x", "evil#x", "evil\\x", "user@game.example", "user:pw@game.example", "a,b", "a.example, b.example"],
    ...[
      "game.example:65536",
      "game.example:-1",
      "game.example:80:80",
      "game.example:8o",
      "[::1",
      "::1",
      "[fe80::1%25eth0]",
      "[::g]",
      "[1.2.3.4]",
    ],
    ...[
      "gäme.example",
      "game.example%2Fx",
      "%67ame.example",
      "game.example\t",
      "game.example\u0000",
      "256.256.256.256",
      "http://game.example",
    ],
  ])("not %j", (host) => {
    expect(isHost(host)).toBe(false);
  });
});
