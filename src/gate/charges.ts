import { isGatepassError } from "../errors.ts";
import type { EventReason, Events } from "../events/types.ts";
import { fallBack, type KnownRefusal, rateHeaders } from "../limits/index.ts";
import type { Limiter, LimitLayer, LimitResult, Subjects } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, Quota, QuotaState, SpendResult } from "../store/contract.ts";
import type { Settings } from "./options.ts";

/** One quota of a request: of a session's (or fresh token's) uses, unless `rule` or `code` say something else. */
export interface Item extends Partial<Omit<LimitLayer, "quota">> {
  quota: Quota;
  /** Of a limit that counts failures: never on the looser store, where nothing is given back. */
  exact?: boolean | undefined;
  /** Of a feature's own quota, which no mode relaxes. */
  code?: PublicCode | undefined;
  reason?: EventReason | undefined;
  beside?: boolean | undefined;
  /** After the last charge. */
  state?: QuotaState | undefined;
  /** Charged on the looser store, and not again where the mode lets the rest be charged once more. */
  paid?: boolean;
}

/** What a charge came to. */
export interface Receipt {
  /** The refusing item; undefined: all was charged. */
  refused: Item | undefined;
  /** Nothing else is to be charged, the refusal notwithstanding. */
  paid: boolean;
  /** Seconds. */
  retryAfter: number;
}

/** What was charged for one request. */
export interface Till {
  /** A backend was down and its rules let that pass. */
  degraded: boolean;
  accuracy: Consistency;
  /** Who is charged, for a limiter that counts while the store is down. */
  subjects: Subjects;
  /** Charges all items or none; a store's error is thrown on unless every rule there says what to do then. */
  charge(items: readonly Item[]): Promise<Receipt>;
  headers(retryAfter?: number): Headers;
  /** How to give back each charge, with or without its rates; who charged elsewhere adds to it. */
  readonly undos: ((rates: boolean) => Promise<unknown>)[];
  /**
   * Gives back what was charged, once. Never throws. Without `rates` it gives back uses, one-use ids and failures only. If it gave
   * back other rates too, a client whose requests make our own work fail could repeat that work without a limit.
   */
  undo(rates?: boolean): Promise<void>;
}

/** What a till notices. */
export interface Watch {
  /** A store failed for the request that `emit` speaks of; `error` is thrown on, or was passed over. */
  down(emit: Events["emit"], error?: Error): void;
  /** The store's clock and ours differ by more than the tolerance. */
  skew(): void;
}

interface Backend {
  readonly consistency: Consistency;
  spend(quotas: readonly Quota[]): Promise<SpendResult>;
}

/** @param ask a limiter that counts while the store is down, for whom this till charges */
export function openTill(
  { given, resolved, store, clock, refusals }: Settings,
  watch: Watch,
  emit: Events["emit"],
  ask: (limiter: Limiter) => Promise<LimitResult>,
): Till {
  const { rateStore } = given;
  const charged: Item[] = [];
  const undos: Till["undos"] = [];
  /** The time by the store that counted last. Compare a store's instants with it: our clock may be ahead of the store's. */
  let now: number | undefined;

  const spend = async (backend: Backend, items: readonly Item[]): Promise<Receipt> => {
    const receipt: Receipt = { refused: undefined, paid: true, retryAfter: 0 };
    const quotas = items.map(({ quota }) => quota);
    // Ask the store although a limit is known to be full, in three cases. A store in this process answers as fast as this memory.
    // Failures are given back all the time. And only the store knows whether a one-use id is a repeat.
    const asks = backend.consistency === "local" || items.some(({ exact, code }) => exact || code);
    const memory = asks ? undefined : refusals[backend === store ? "store" : "rateStore"];
    const known = memory?.find(quotas);
    if (known) return refuseAgain(items, known, backend);
    let result: SpendResult;
    try {
      const since = clock();
      result = await backend.spend(quotas);
      memory?.learn(quotas, result, since);
    } catch (error) {
      if (!isGatepassError(error)) throw error;
      watch.down(emit, error);
      const fallback = await fallBack(
        items.map(({ rule }) => rule),
        // These items count failed guesses. While they cannot be counted, no guess may pass, unless the rule itself allows it.
        items.some(({ exact }) => exact) ? "deny" : resolved.onStoreError,
        ask,
      );
      if (!fallback) throw error;
      const { result: instead, limiter, undo } = fallback;
      till.degraded = true;
      // The fallback's whole charge is given back, its rates too: this request has paid no use that our work could be charged to.
      undos.push(undo);
      if (instead) till.accuracy = weaker(till.accuracy, instead.accuracy);
      if (instead?.success === false) {
        receipt.refused = items.find(({ rule }) => rule?.onStoreError === limiter);
        receipt.retryAfter = instead.retryAfter;
      }
      return receipt;
    }
    now = result.at;
    if (Math.abs(now - clock()) > resolved.clockTolerance * 1000) watch.skew();
    till.accuracy = weaker(till.accuracy, backend.consistency);
    for (const [i, item] of items.entries()) {
      item.state = result.states[i];
      if (item.rule && item.state && !charged.includes(item)) charged.push(item);
    }
    if (result.ok) {
      // What a looser store counted stays counted.
      if (backend === store) {
        undos.push(async (rates) => {
          const back = items.filter(({ exact, rule }) => rates || exact || !rule).map(({ quota }) => quota);
          if (back[0]) await giveBack(back, result.at);
        });
      }
      // A session that costs nothing is only read: it may be used up, but not revoked or over.
      receipt.refused = items.find(
        ({ quota, rule, code, state }) => quota.cost === 0 && !rule && !code && state?.why && state.why !== "full",
      );
    } else {
      receipt.refused = items[result.refused ?? 0] ?? items[0];
      receipt.paid = false;
      receipt.retryAfter = result.retryAfter;
    }
    return receipt;
  };

  const giveBack = async (quotas: readonly Quota[], at: number): Promise<void> => {
    await store.refund(quotas, at);
    refusals.store.forget(quotas.map(({ key }) => key));
  };

  /** A rate that the store said is full, and has not been asked about since. */
  const refuseAgain = (items: readonly Item[], { index, state, retryAfter }: KnownRefusal, backend: Backend): Receipt => {
    till.accuracy = weaker(till.accuracy, backend.consistency);
    const refused = items[index];
    if (refused?.rule) {
      refused.state = state;
      if (!charged.includes(refused)) charged.push(refused);
    }
    return { refused, paid: false, retryAfter };
  };

  const till: Till = {
    degraded: false,
    accuracy: "exact",
    subjects: {},
    undos,
    async charge(items) {
      if (!rateStore) return spend(store, items);
      // Rules on the looser store first: what follows on the exact one is all or nothing by itself.
      const loose = ({ rule, exact }: Item): boolean => rule !== undefined && !exact;
      const rules = items.filter((item) => loose(item) && !item.paid);
      const rest = items.filter((item) => !loose(item));
      const first = rules.length > 0 ? await spend(rateStore, rules) : undefined;
      if (first && (first.refused || rest.length === 0)) return first;
      for (const rule of rules) rule.paid = true;
      return spend(store, rest);
    },
    headers(retryAfter) {
      return rateHeaders(charged, now ?? clock(), retryAfter);
    },
    async undo(rates = false) {
      // Best effort: what a failed refund costs is one use.
      for (const undo of undos.splice(0)) await undo(rates).catch(() => watch.down(emit));
    },
  };
  return till;
}

/** The less sure of two. */
export function weaker(a: Consistency, b: Consistency): Consistency {
  const order: readonly Consistency[] = ["exact", "local", "approximate"];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}
