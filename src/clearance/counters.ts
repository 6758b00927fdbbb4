import { isGatepassError } from "../errors.ts";
import type { Kernel, ReportDetails } from "../gate/types.ts";
import type { Subjects } from "../limits/types.ts";
import type { RateQuota } from "../store/contract.ts";
import { rateKey } from "../store/index.ts";
import type { RiskSignals, RiskWeights } from "./types.ts";

/** How one signal is counted. */
interface Counter {
  /** Seconds. */
  window: number;
  /** The highest count. More events do not raise it. */
  limit: number;
  /**
   * Whether it is also counted by account and by user: an attack on an account raises the risk of every request for it,
   * from any address.
   */
  accounts?: boolean;
  /** Whether the signal is a flag: true from the first event on. */
  flag?: boolean;
}

const COUNTERS: { readonly [signal: string]: Counter } = {
  failedLogins: { window: 900, limit: 10_000, accounts: true },
  otpRequests: { window: 600, limit: 10_000, accounts: true },
  clearanceFailures: { window: 900, limit: 10_000 },
  honeypot: { window: 900, limit: 10_000, flag: true },
};
/** The names of `gate.report` and the signals that they count. */
const REPORTED: { readonly [reported: string]: string } = {
  login_failed: "failedLogins",
  otp_requested: "otpRequests",
  honeypot_tripped: "honeypot",
};
/** The report of a successful log-in. It only counts the different names that one device uses. */
const LOGGED_IN = "login_succeeded";
/** Requests of one device in its network. */
const DEVICE: Counter = { window: 300, limit: 1000 };
/**
 * Requests of one address prefix. It bounds the keys that an attacker can create by sending a new device id with each
 * request.
 */
const PREFIX: Counter = { window: 300, limit: 5000 };
/** Different names of users or accounts on one device in its network. */
const USERS: Counter = { window: 900, limit: 100 };
/**
 * Reports about one address prefix. They have a budget of their own: an attacker who uses up the budget of the requests
 * must not suppress the reports too. The count is also a signal: an attacker who takes a new device and account for
 * each try is conspicuous only by the prefix.
 */
const REPORTS: Counter = { window: 900, limit: 5000 };
/** Address prefixes under which one ephemeral id was seen. */
const CLUSTER: Counter = { window: 3600, limit: 100 };
/** An ephemeral id that was seen under more prefixes than these is a cluster. */
const CLUSTERED = 10;
/**
 * The application's own counted signals. With three of them a request reads at most 16 counters, the most that one
 * spend takes.
 */
const MAX_CUSTOM = 3;
/** Characters of an account's or user's name that are used; the rest is cut off. */
const MAX_NAME = 256;

/** Counts requests and reports, and reads the counts back as signals. */
export interface Counters {
  /**
   * Counts the request and reads the signals of its client, in one spend.
   *
   * @param eid HMAC of the ephemeral id, where a clearance has one
   */
  look(subjects: Subjects, eid: string | undefined): Promise<Seen>;
  /** Counts a report. False for a name that no signal has. */
  report(signal: string, subjects: Subjects, about: ReportDetails): Promise<boolean>;
  /** Names of reports besides those that every gate takes. */
  readonly reports: readonly string[];
  /** Counts one failed verification. */
  failed(subjects: Subjects): Promise<void>;
  /** Counts the address prefix under which the ephemeral id `eid` was seen. */
  seen(eid: string, subjects: Subjects): Promise<void>;
}

/** What the counters say about a client. */
export interface Seen {
  /** Signals of this device in its network: no other client can cause them. */
  signals: Partial<RiskSignals>;
  /** Signals of the account, and of everybody at an address: other clients may have caused them. */
  shared: Partial<RiskSignals>;
  /** The store was down, and `onStoreError: "allow"` let the request go on without signals. */
  degraded: boolean;
}

/** One counter of a signal. */
interface Place {
  quota: RateQuota;
  /** Whether only this device can raise it. */
  own: boolean;
}

/** @throws {TypeError} more signals of the application's own than one request can read */
export function createCounters({ store, options }: Kernel, weights: RiskWeights): Counters {
  const custom = Object.entries(weights).filter(([name, { over }]) => over !== undefined && !COUNTERS[name] && !isOurs(name));
  if (custom.length > MAX_CUSTOM) throw new TypeError(`Invalid "risk": at most ${MAX_CUSTOM} signals with "over" of your own`);
  const counters: Record<string, Counter> = { ...COUNTERS };
  for (const [name] of custom) counters[name] = { window: 900, limit: 1000 };

  /**
   * The counters of a signal. A device counts only together with its address prefix: an attacker elsewhere who sends a
   * victim's device id does not raise the victim's count.
   */
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
      // Cloudflare lets ephemeral ids of different devices collide on purpose. So the cluster may be another client's:
      // it is shared.
      if (eid) add({ ...quotaOf("risk.cluster", CLUSTER, ["e", eid]), cost: 0 }, "ephemeralCluster", false, CLUSTERED + 1);
      for (const [name, counter] of Object.entries(counters)) {
        for (const { quota, own } of placesOf(name, counter, subjects)) add({ ...quota, cost: 0 }, name, own, counter.flag ? 1 : undefined);
      }
      try {
        const { states } = await store.spend(quotas);
        for (const [i, { remaining }] of states.entries()) readers[i]?.((quotas[i]?.limit ?? 0) - remaining);
        return { signals, shared, degraded: false };
      } catch (error) {
        // Without the counters the risk comes out too low. The application decides by `onStoreError` whether that is
        // acceptable.
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
        // Charge the prefix in the same spend: an attacker who invents names creates no more keys than one prefix's
        // budget.
        if (!(await store.spend([reports(who), ...charges])).ok) return true;
      }
      const { device, "ip-prefix": prefix } = who;
      const known = who.account ?? who.user;
      // The first quota admits each name once in the window. So the second counts different names.
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

/** The subject as text, cut to `MAX_NAME`; no subject for an empty value. */
function named(subject: "account" | "user", value: unknown): Subjects {
  const text = value === undefined || value === null ? "" : String(value);
  return text === "" ? {} : { [subject]: text.slice(0, MAX_NAME) };
}

/** Signals that this file counts in ways of their own, outside `COUNTERS`. */
function isOurs(name: string): boolean {
  return ["deviceRequests", "deviceUsers", "addressReports"].includes(name);
}

function quotaOf(name: string, counter: Counter, subjects: readonly string[]): RateQuota {
  return { key: rateKey({ name, window: counter.window }, subjects), limit: counter.limit, window: counter.window };
}
