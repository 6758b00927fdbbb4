import { isGatepassError } from "../errors.ts";
import type { Kernel } from "../gate/types.ts";
import type { Subjects } from "../limits/types.ts";
import type { RateQuota } from "../store/contract.ts";
import { rateKey } from "../store/index.ts";
import { assertInteger } from "../util/assertions.ts";
import type { RiskSignals, RiskWeights } from "./types.ts";

/** One signal that is counted. */
interface Counter {
  /** Seconds. */
  window: number;
  /** Units that are told apart; more are as many. */
  limit: number;
  /** Whether it is counted by account and user as well: what a victim's account suffers raises the risk of whoever uses it, from anywhere. */
  accounts?: boolean;
  /** Whether any count at all is the signal. */
  flag?: boolean;
}

const COUNTERS: { readonly [signal: string]: Counter } = {
  failedLogins: { window: 900, limit: 10_000, accounts: true },
  otpRequests: { window: 600, limit: 10_000, accounts: true },
  clearanceFailures: { window: 900, limit: 10_000 },
  honeypot: { window: 900, limit: 10_000, flag: true },
};
/** What `gate.report` calls them. */
const REPORTED: { readonly [reported: string]: string } = {
  login_failed: "failedLogins",
  otp_requested: "otpRequests",
  honeypot_tripped: "honeypot",
};
/** Reported of whoever logs in: counts nothing but the names that one device uses. */
const LOGGED_IN = "login_succeeded";
/** Requests of a device that are told apart, and of an address prefix: who writes ever new device ids makes no more keys than this. */
const DEVICE: Counter = { window: 300, limit: 1000 };
const PREFIX: Counter = { window: 300, limit: 5000 };
const USERS: Counter = { window: 900, limit: 100 };
/** Address prefixes of one ephemeral id, and how many of them are a cluster. */
const CLUSTER: Counter = { window: 3600, limit: 100 };
const CLUSTERED = 10;
const MAX_CUSTOM = 4;

/** What is counted of those who ask, and read back as signals. */
export interface Counters {
  /** Counts the request and reads what is known of who makes it: one spend. */
  look(subjects: Subjects, eid: string | undefined): Promise<{ signals: Partial<RiskSignals>; degraded: boolean }>;
  /** Counts what was reported; false for a name that nothing weighs. */
  report(signal: string, subjects: Subjects, about: { account?: string; user?: string; weight?: number }): Promise<boolean>;
  /** One failed verification. */
  failed(subjects: Subjects): Promise<void>;
  /** A device that Cloudflare knows by `eid`, seen at an address. */
  seen(eid: string, subjects: Subjects): Promise<void>;
}

/** @throws {TypeError} more signals of the application's own than one request can read */
export function createCounters({ store, options }: Kernel, weights: RiskWeights): Counters {
  const custom = Object.entries(weights).filter(([name, { over }]) => over !== undefined && !COUNTERS[name] && !isOurs(name));
  if (custom.length > MAX_CUSTOM) throw new TypeError(`Invalid "risk": at most ${MAX_CUSTOM} signals with "over" of your own`);
  const counters: Record<string, Counter> = { ...COUNTERS };
  for (const [name] of custom) counters[name] = { window: 900, limit: 1000 };

  /** The places where a signal is counted. By device only together with its address prefix: a stranger who writes a victim's device id counts for himself. */
  const quotasOf = (name: string, counter: Counter, subjects: Subjects): RateQuota[] => {
    const { device, "ip-prefix": prefix, ip, account, user } = subjects;
    const quotas: RateQuota[] = [];
    if (device && prefix) quotas.push(quotaOf(`risk.${name}`, counter, ["d", device, prefix]));
    else quotas.push(quotaOf(`risk.${name}`, counter, ["i", ip ?? "unknown"]));
    if (counter.accounts) {
      if (account) quotas.push(quotaOf(`risk.${name}`, counter, ["a", account]));
      if (user && user !== account) quotas.push(quotaOf(`risk.${name}`, counter, ["u", user]));
    }
    return quotas;
  };
  const prefixQuota = ({ "ip-prefix": prefix = "unknown" }: Subjects): RateQuota => quotaOf("risk.prefix", PREFIX, ["p", prefix]);

  return {
    async look(subjects, eid) {
      const { device, "ip-prefix": prefix } = subjects;
      const quotas: RateQuota[] = [];
      const names: (string | undefined)[] = [];
      const add = (name: string | undefined, ...some: RateQuota[]): void => {
        for (const quota of some) {
          quotas.push(quota);
          names.push(name);
        }
      };
      if (device && prefix) {
        add(undefined, prefixQuota(subjects));
        add("deviceRequests", quotaOf("risk.requests", DEVICE, ["d", device, prefix]));
        add("deviceUsers", { ...quotaOf("risk.users", USERS, ["d", device, prefix]), cost: 0 });
      }
      if (eid) add("ephemeralCluster", { ...quotaOf("risk.cluster", CLUSTER, ["e", eid]), cost: 0 });
      for (const [name, counter] of Object.entries(counters)) {
        add(name, ...quotasOf(name, counter, subjects).map((quota) => ({ ...quota, cost: 0 })));
      }
      const signals: Record<string, number | boolean> = {};
      try {
        const { states } = await store.spend(quotas);
        states.forEach(({ remaining }, i) => {
          const [name, quota] = [names[i], quotas[i]];
          if (!name || !quota) return;
          const count = quota.limit - remaining;
          const flag = counters[name]?.flag ? 1 : name === "ephemeralCluster" ? CLUSTERED + 1 : undefined;
          if (flag !== undefined) signals[name] = signals[name] === true || count >= flag;
          else signals[name] = Math.max(Number(signals[name] ?? 0), count);
        });
        return { signals, degraded: false };
      } catch (error) {
        // Without its counters a risk is too low; whether that may be is the application's to say.
        if (options.onStoreError !== "allow" || !isGatepassError(error)) throw error;
        return { signals: {}, degraded: true };
      }
    },
    async report(signal, subjects, { account, user, weight = 1 }) {
      const name = Object.hasOwn(REPORTED, signal) ? REPORTED[signal] : signal;
      const counter = name !== undefined && Object.hasOwn(counters, name) ? counters[name] : undefined;
      if (!name || (!counter && signal !== LOGGED_IN)) return false;
      const who = { ...subjects, ...(account !== undefined && { account }), ...(user !== undefined && { user }) };
      if (counter) {
        assertInteger("weight", weight, 1, counter.limit);
        const charges = quotasOf(name, counter, who);
        // The prefix in the same step: under keys that a stranger makes up nobody writes more than one place may.
        await store.spend([prefixQuota(who), ...charges.map((quota) => ({ ...quota, cost: weight }))]);
      }
      const { device, "ip-prefix": prefix } = who;
      const named = account ?? user;
      // Admitted once for each name: the device's count is that of different names.
      if (named !== undefined && device && prefix) {
        const once = quotaOf("risk.user", { window: USERS.window, limit: 1 }, ["n", device, prefix, named]);
        await store.spend([prefixQuota(who), once, quotaOf("risk.users", USERS, ["d", device, prefix])]);
      }
      return true;
    },
    async failed(subjects) {
      const counter = counters["clearanceFailures"];
      if (counter) await store.spend([prefixQuota(subjects), ...quotasOf("clearanceFailures", counter, subjects)]);
    },
    async seen(eid, subjects) {
      const { "ip-prefix": prefix = "unknown" } = subjects;
      const once = quotaOf("risk.place", { window: CLUSTER.window, limit: 1 }, ["e", eid, prefix]);
      await store.spend([prefixQuota(subjects), once, quotaOf("risk.cluster", CLUSTER, ["e", eid])]);
    },
  };
}

function isOurs(name: string): boolean {
  return ["deviceRequests", "deviceUsers"].includes(name);
}

function quotaOf(name: string, counter: Counter, subjects: readonly string[]): RateQuota {
  return { key: rateKey({ name, window: counter.window }, subjects), limit: counter.limit, window: counter.window };
}
