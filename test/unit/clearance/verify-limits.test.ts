import { describe, expect, it } from "vitest";
import { strictVerifyLimits } from "../../../src/clearance/index.ts";
import type { ClearanceOptions } from "../../../src/clearance/types.ts";
import type { LimitRule } from "../../../src/limits/types.ts";
import { type Api, api, challengeOf } from "./tools.ts";

/** Where the i-th verification comes from. A device of "" sends none, as browsers do. */
interface Sender {
  device(i: number): string;
  from(i: number): string;
}

const always = (text: string) => (): string => text;
const phone = always("phone-1");
const home = always("198.51.100.7");
const made = (i: number): string => `made-up-${i}`;
const network = (i: number): string => `198.51.100.${i % 250}`;
/** Many networks: nothing but the device is the same. */
const networks = (i: number): string => `10.${i >> 8}.${i & 255}.7`;
/** Another /64 each time, in one /48. */
const inSite = (i: number): string => `2001:db8:1:${i.toString(16)}::7`;

/** One verification: 200 with a clearance, 403 a failure, 429 where a limit refuses. */
async function verifyOnce({ call, solve, verify }: Api, { device, from }: Sender, i: number, good: boolean): Promise<number> {
  const asked = { device: device(i), from: from(i), rid: `r${i}` };
  const challenge = await challengeOf(await call("/v1/otp", asked));
  const token = good ? await solve(challenge) : "junk";
  return (await verify(challenge, token, { device_id: asked.device || undefined }, asked.from)).status;
}

/** How many of `count` verifications are not refused by a limit. */
async function admitted(options: Partial<ClearanceOptions>, sender: Sender, count: number, good: boolean): Promise<number> {
  const at = api(options);
  let through = 0;
  for (let i = 0; i < count; i++) through += Number((await verifyOnce(at, sender, i, good)) !== 429);
  return through;
}

const wide = (name: string): readonly LimitRule[] => [{ name, limit: 100_000, window: 900, by: "ip-prefix" }];
/** Leaves one limit of the three in force. */
const only = (name: string): NonNullable<ClearanceOptions["limits"]> =>
  Object.fromEntries(["attempts", "failures", "issued"].filter((one) => one !== name).map((one) => [`clearance.${one}`, wide(one)]));

describe("limits of the verification, in 15 minutes", () => {
  it.each([
    ["attempts", 10],
    ["failures", 5],
    ["issued", 10],
  ])("%s: %i for a device in its network, twice that at an address for two devices, eight times in its network", async (name, limit) => {
    const options = { limits: only(name), sharedAddress: 2 };
    const good = name !== "failures";
    const count = async (device: Sender["device"], from: Sender["from"], times: number): Promise<number> =>
      admitted(options, { device, from }, limit * times + 3, good);
    expect([await count(phone, home, 1), await count(made, home, 2), await count(made, network, 8)]).toEqual([limit, 2 * limit, 8 * limit]);
  });

  it("a browser sends no device id: then its address and network alone are limited", async () => {
    const options = { sharedAddress: 2 };
    const none = always("");
    expect(await admitted(options, { device: none, from: home }, 25, true)).toBe(20);
    expect(await admitted(options, { device: none, from: network }, 85, true)).toBe(80);
  });

  it("another /64 of one IPv6 /48 for each attempt is four addresses' worth", async () => {
    expect(await admitted({ sharedAddress: 1 }, { device: made, from: inSite }, 45, true)).toBe(40);
  });

  it("a device id that strangers send from their networks limits none of them but the stranger", async () => {
    const at = api();
    for (let i = 0; i < 30; i++) expect(await verifyOnce(at, { device: phone, from: networks }, i, false)).toBe(403);
    expect(await verifyOnce(at, { device: phone, from: home }, 31, true)).toBe(200);
  });

  it("by default 200 phones behind one carrier address get through", { timeout: 30_000 }, async () => {
    expect(await admitted({}, { device: made, from: home }, 200, true)).toBe(200);
  });

  it.each([
    ["attempts", 3],
    ["failures", 5],
    ["issued", 3],
  ])("strictVerifyLimits, %s: %i for a device, as many for a whole address, four times that for its network", async (name, limit) => {
    const options = { limits: { ...strictVerifyLimits, ...only(name) } };
    const good = name !== "failures";
    const count = async (device: Sender["device"], from: Sender["from"], times: number): Promise<number> =>
      admitted(options, { device, from }, limit * times + 3, good);
    expect([await count(phone, home, 1), await count(made, home, 1), await count(made, network, 4)]).toEqual([limit, limit, 4 * limit]);
  });

  it("a success costs no failure: four failures leave room for the clearances of the device", async () => {
    const at = api();
    const sender = { device: phone, from: home };
    const statuses: number[] = [];
    for (let i = 0; i < 11; i++) statuses.push(await verifyOnce(at, sender, i, i >= 4));
    expect(statuses).toEqual([403, 403, 403, 403, 200, 200, 200, 200, 200, 200, 429]);
    at.advance(16.5 * 60_000);
    expect(await verifyOnce(at, sender, 11, true)).toBe(200);
  });

  it.each([[0], [1.5], [-1], [1_000_001], [Number.NaN], ["100"], [null]])("refuses sharedAddress: %s", (value) => {
    // @ts-expect-error: what a program without types may give
    expect(() => api({ sharedAddress: value })).toThrow(/sharedAddress/);
  });
});
