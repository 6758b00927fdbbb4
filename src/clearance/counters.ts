import { isGatepassError } from "../errors.ts";
import type { Kernel, ReportDetails } from "../gate/types.ts";
import type { Subjects } from "../limits/types.ts";
import type { RateQuota } from "../store/contract.ts";
import { rateKey } from "../store/index.ts";
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
/**
 * What is reported of an address prefix. A budget of its own: whoever spends that of the requests must not thereby silence the reports of what they try
 * next. And a signal: who comes under ever new devices and accounts, so that none of them is conspicuous, is so together.
 */
const REPORTS: Counter = { window: 900, limit: 5000 };
/** Address prefixes of one ephemeral id, and how many of them are a cluster. */
const CLUSTER: Counter = { window: 3600, limit: 100 };
const CLUSTERED = 10;
/** With these a request reads 16 counters, which is what one spend takes. */
const MAX_CUSTOM = 3;
/** Characters of an account or user that count: a name is not a book. */
const MAX_NAME = 256;

/** What is counted of those who ask, and read back as signals. */
export interface Counters {
  /** Counts the request and reads what is known of who makes it: one spend. */
  look(subjects: Subjects, eid: string | undefined): Promise<Seen>;
  /** Counts what was reported; false for a name that nothing weighs. */
  report(signal: string, subjects: Subjects, about: ReportDetails): Promise<boolean>;
  /** What may be reported besides the names that every gate takes. */
  readonly reports: readonly string[];
  /** One failed verification. */
  failed(subjects: Subjects): Promise<void>;
  /** A device that Cloudflare knows by `eid`, seen at an address. */
  seen(eid: string, subjects: Subjects): Promise<void>;
}

/** What is known of who asks. */
export interface Seen {
  /** Of the very device, at its network: nobody else could cause it. */
  signals: Partial<RiskSignals>;
  /** Of the account, and of all at an address: others may have caused it. */
  shared: Partial<RiskSignals>;
  degraded: boolean;
}

/** A place where something is counted. */
interface Place {
  quota: RateQuota;
  own: boolean;
}

/** @throws {TypeError} more signals of the application's own than one request can read */
export function createCounters({ store, options }: Kernel, weights: RiskWeights): Counters {
  const custom = Object.entries(weights).filter(([name, { over }]) => over !== undefined && !COUNTERS[name] && !isOurs(name));
  if (custom.length > MAX_CUSTOM) throw new TypeError(`Invalid "risk": at most ${MAX_CUSTOM} signals with "over" of your own`);
  const counters: Record<string, Counter> = { ...COUNTERS };
  for (const [name] of custom) counters[name] = { window: 900, limit: 1000 };

  /** The places where a signal is counted. By device only together with its address prefix: a stranger who writes a victim's device id counts for himself. */
  const placesOf = (name: string, counter: Counter, subjects: Subjects): Place[] => {
    const { device, "ip-prefix": prefix, ip, account, user } = subjects;
    const place = (own: boolean, ...who: string[]): Place => ({ quota: quotaOf(`risk.${name}`, counter, who), own });
    const places = [device && prefix ? place(true, "d", device, prefix) : place(false, "i", ip ?? "unknown")];
    if (counter.accounts) {
      if (account) places.push(place(false, "a", account));
      if (user && user !== account) places.push(place(false, "u", user));
    }
    return places;
  };
  const ofPrefix = (name: string, counter: Counter, { "ip-prefix": prefix = "unknown" }: Subjects): RateQuota =>
    quotaOf(name, counter, ["p", prefix]);
  const requests = (subjects: Subjects): RateQuota => ofPrefix("risk.prefix", PREFIX, subjects);
  const reports = (subjects: Subjects): RateQuota => ofPrefix("risk.reports", REPORTS, subjects);

  return {
    reports: custom.map(([name]) => name),
    async look(subjects, eid) {
      const { device, "ip-prefix": prefix } = subjects;
      const quotas: RateQuota[] = [];
      const readers: ((count: number) => void)[] = [];
      const signals: Record<string, number | boolean> = {};
      const shared: typeof signals = {};
      const add = (quota: RateQuota, name?: string, own = true, flag?: number): void => {
        const to = own ? signals : shared;
        quotas.push(quota);
        readers.push((count) => {
          if (name === undefined || count === 0) return;
          to[name] = flag === undefined ? Math.max(Number(to[name] ?? 0), count) : to[name] === true || count >= flag;
        });
      };
      if (device && prefix) {
        add(requests(subjects));
        add(quotaOf("risk.requests", DEVICE, ["d", device, prefix]), "deviceRequests");
        add({ ...quotaOf("risk.users", USERS, ["d", device, prefix]), cost: 0 }, "deviceUsers");
      }
      add({ ...reports(subjects), cost: 0 }, "addressReports", false);
      // Collides on purpose, so that it may be somebody else's.
      if (eid) add({ ...quotaOf("risk.cluster", CLUSTER, ["e", eid]), cost: 0 }, "ephemeralCluster", false, CLUSTERED + 1);
      for (const [name, counter] of Object.entries(counters)) {
        for (const { quota, own } of placesOf(name, counter, subjects)) add({ ...quota, cost: 0 }, name, own, counter.flag ? 1 : undefined);
      }
      try {
        const { states } = await store.spend(quotas);
        for (const [i, { remaining }] of states.entries()) readers[i]?.((quotas[i]?.limit ?? 0) - remaining);
        return { signals, shared, degraded: false };
      } catch (error) {
        // Without its counters a risk is too low; whether that may be is the application's to say.
        if (options.onStoreError !== "allow" || !isGatepassError(error)) throw error;
        return { signals: {}, shared: {}, degraded: true };
      }
    },
    async report(signal, subjects, { account, user, weight = 1 }) {
      const name = Object.hasOwn(REPORTED, signal) ? REPORTED[signal] : signal;
      const counter = name !== undefined && Object.hasOwn(counters, name) ? counters[name] : undefined;
      if (!name || (!counter && signal !== LOGGED_IN)) return false;
      const who = { ...subjects, ...named("account", account), ...named("user", user) };
      if (counter) {
        const cost = Math.min(weight, counter.limit);
        const charges = placesOf(name, counter, who).map(({ quota }) => ({ ...quota, cost }));
        // The prefix in the same step: under keys that a stranger makes up nobody writes more than one place may.
        if (!(await store.spend([reports(who), ...charges])).ok) return true;
      }
      const { device, "ip-prefix": prefix } = who;
      const known = who.account ?? who.user;
      // Admitted once for each name: the device's count is that of different names.
      if (known !== undefined && device && prefix) {
        const once = quotaOf("risk.user", { window: USERS.window, limit: 1 }, ["n", device, prefix, known]);
        const names = [once, quotaOf("risk.users", USERS, ["d", device, prefix])];
        await store.spend(counter ? names : [requests(who), ...names]);
      }
      return true;
    },
    async failed(subjects) {
      const counter = counters["clearanceFailures"];
      if (counter) await store.spend([reports(subjects), ...placesOf("clearanceFailures", counter, subjects).map(({ quota }) => quota)]);
    },
    async seen(eid, subjects) {
      const { "ip-prefix": prefix = "unknown" } = subjects;
      const once = quotaOf("risk.place", { window: CLUSTER.window, limit: 1 }, ["e", eid, prefix]);
      await store.spend([once, quotaOf("risk.cluster", CLUSTER, ["e", eid])]);
    },
  };
}

/** A subject, where it is given: as text, and not longer than a name is. */
function named(subject: "account" | "user", value: unknown): Subjects {
  const text = value === undefined || value === null ? "" : String(value);
  return text === "" ? {} : { [subject]: text.slice(0, MAX_NAME) };
}

function isOurs(name: string): boolean {
  return ["deviceRequests", "deviceUsers", "addressReports"].includes(name);
}

function quotaOf(name: string, counter: Counter, subjects: readonly string[]): RateQuota {
  return { key: rateKey({ name, window: counter.window }, subjects), limit: counter.limit, window: counter.window };
}
