import { describe, expect, it } from "vitest";
import { assessRisk, defaultWeights, pathPoints } from "../../../src/clearance/risk.ts";
import type { RiskSignals } from "../../../src/clearance/types.ts";

describe("assessRisk", () => {
  it.each<[Partial<RiskSignals>, number]>([
    [{ botScore: 29 }, 30],
    [{ botScore: 30 }, 0],
    [{ wafScore: 39 }, 25],
    [{ wafScore: 40 }, 0],
    [{ badIp: true }, 25],
    [{ abusiveAsn: true }, 15],
    [{ sensitivePath: 30 }, 30],
    [{ failedLogins: 5 }, 0],
    [{ failedLogins: 6 }, 40],
    [{ otpRequests: 2 }, 0],
    [{ otpRequests: 3 }, 50],
    [{ deviceRequests: 300 }, 0],
    [{ deviceRequests: 301 }, 30],
    [{ deviceUsers: 5 }, 0],
    [{ deviceUsers: 6 }, 50],
    [{ clearanceFailures: 3 }, 0],
    [{ clearanceFailures: 4 }, 50],
    [{ addressChanged: true }, 10],
    [{ failedLogins: 6, validClearance: true }, 0],
    [{ failedLogins: 6, attestation: true }, 10],
    [{ failedLogins: 6, establishedSession: true }, 20],
    [{ establishedSession: true }, 0],
    [{ unheardOf: true, botScore: Number.NaN }, 0],
  ])("%j is %i", (signals, score) => {
    expect(assessRisk(signals).score).toBe(score);
  });

  it("has the bands 0-29, 30-49, 50-79, 80-100", () => {
    const bands = [0, 29, 30, 49, 50, 79, 80, 100].map((points) => assessRisk({ sensitivePath: points }).band);
    expect(bands).toEqual(["allow", "allow", "limit", "limit", "challenge", "challenge", "deny", "deny"]);
  });

  it("decides deny before discounts: whoever stole a clearance and a session is denied all the same", () => {
    const signals = { sensitivePath: 30, failedLogins: 6, badIp: true };
    expect(assessRisk(signals)).toMatchObject({ gross: 95, band: "deny" });
    expect(assessRisk({ ...signals, validClearance: true, attestation: true, establishedSession: true })).toMatchObject({
      score: 5,
      band: "deny",
    });
  });

  it("never leaves 0..100 and says its reasons, discounts too", () => {
    const all = Object.fromEntries(
      Object.entries(defaultWeights).map(([name, { below, over }]) => [name, below ? below - 1 : over ? over + 1 : true]),
    );
    const { gross, score, reasons } = assessRisk({ ...all, sensitivePath: 30 });
    expect([gross, score <= 100]).toEqual([100, true]);
    expect(reasons.map(({ signal }) => signal).sort()).toEqual([...Object.keys(defaultWeights), "sensitivePath"].sort());
    expect(reasons.filter(({ points }) => points < 0).map(({ points }) => points)).toEqual([-40, -30, -20]);
  });

  it("takes weights of the application, for its own signals too", () => {
    expect(assessRisk({ botScore: 10, vpn: true }, { botScore: { points: 0 }, vpn: { points: 55 } })).toMatchObject({
      score: 55,
      band: "challenge",
    });
    expect(() => assessRisk({}, { vpn: { points: 1.5 } })).toThrow(RangeError);
    expect(() => assessRisk({}, { vpn: { points: 200 } })).toThrow(RangeError);
    expect(() => assessRisk({}, { sensitivePath: { points: 50 } })).toThrow(/its entry's/);
  });

  it("is not fooled by names that every object has", () => {
    expect(assessRisk(JSON.parse('{"__proto__":{"badIp":true}}')).score).toBe(0);
    expect(assessRisk({}, { toString: { points: 50 } }).score).toBe(0);
  });

  it("knows the sensitive paths, and an entry's own points go first", () => {
    expect(
      ["/api/otp/request", "/api/auth/register", "/v2/payment/x", "/payment", "/api/auth/login", "/api/search"].map((path) =>
        pathPoints(path),
      ),
    ).toEqual([30, 30, 30, 30, 20, 0]);
  });
});
