import { isGatepassError } from "../errors.ts";
import type { EventReason, Events } from "../events/types.ts";
import { fallBack, type KnownRefusal, rateHeaders } from "../limits/index.ts";
import type { Limiter, LimitLayer, LimitResult, Subjects } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, Quota, QuotaState, SpendResult } from "../store/contract.ts";
import type { Settings } from "./options.ts";

/**
 * One quota of a request. With `rule` it is a limit's, with `code` a feature's, else it is a use of the session or
 * fresh token.
 */
export interface Item extends Partial<Omit<LimitLayer, "quota">> {
  quota: Quota;
  /** The limit counts failures. It is never charged on `rateStore`, where nothing is given back. */
  exact?: boolean | undefined;
  /** The refusal of a feature's own quota, which no mode relaxes. */
  code?: PublicCode | undefined;
  /** The event's reason for `code`. */
  reason?: EventReason | undefined;
  /** See `OneUse`. */
  beside?: boolean | undefined;
  /** The state after the last charge. */
  state?: QuotaState | undefined;
  /**
   * It was charged on `rateStore`. It is not charged again when the mode relaxes a refusal and the other items are
   * charged once more.
   */
  paid?: boolean;
}

/** The outcome of one charge. */
export interface Receipt {
  /** The item that refuses. Undefined: all items were charged. */
  refused: Item | undefined;
  /**
   * The items need not be charged again although one refuses: they are charged already, or a fallback has counted them.
   */
  paid: boolean;
  /** Seconds. */
  retryAfter: number;
}

/** Charges one request, and gives the charges back. */
export interface Charges {
  /** A backend was down and its rules let that pass. */
  degraded: boolean;
  /** The lowest accuracy of the stores that were asked so far. */
  accuracy: Consistency;
  /** The subjects that are charged, for a limiter that counts while the store is down. */
  subjects: Subjects;
  /**
   * Charges all items or none. A store's error is thrown, unless every item is a rule whose `onStoreError` allows or
   * names a limiter.
   */
  charge(items: readonly Item[]): Promise<Receipt>;
  /** Rate headers. @param retryAfter seconds */
  headers(retryAfter?: number): Headers;
  /**
   * One function for each charge that gives it back, with or without its rates; with `keep` only the uses above that
   * number. A guard's own charges are added here.
   */
  readonly undos: ((rates: boolean, keep?: number) => Promise<unknown>)[];
  /**
   * Gives the charges back. Works once; never throws. Without `rates` it only gives back uses, one-use ids and
   * failures. If it gave back other rates too, a client whose requests make our own work fail could repeat that work
   * without a limit.
   */
  undo(rates?: boolean): Promise<void>;
  /** Gives back the uses above this number. Never throws. */
  settle(keep: number): Promise<void>;
}

/** Gets told about problems of the stores. */
export interface Watch {
  /**
   * A store failed. `emit` raises events of the request. `error` will be thrown, or `onStoreError` let the request
   * pass; undefined: a refund failed.
   */
  down(emit: Events["emit"], error?: Error): void;
  /** The store's clock and ours differ by more than the tolerance. */
  skew(): void;
}

interface Backend {
  readonly consistency: Consistency;
  spend(quotas: readonly Quota[]): Promise<SpendResult>;
}

/** @param ask asks a limiter that counts while the store is down, with the subjects of this request */
export function openCharges(
  { given, resolved, store, clock, refusals }: Settings,
  watch: Watch,
  emit: Events["emit"],
  ask: (limiter: Limiter) => Promise<LimitResult>,
): Charges {
  const { rateStore } = given;
  const charged: Item[] = [];
  const undos: Charges["undos"] = [];
  /**
   * The clock of the store that counted last. A store's instants are compared with it, since our clock may be ahead.
   */
  let now: number | undefined;

  const spend = async (backend: Backend, items: readonly Item[]): Promise<Receipt> => {
    const receipt: Receipt = { refused: undefined, paid: true, retryAfter: 0 };
    const quotas = items.map(({ quota }) => quota);
    // A limit that is known to be full is refused from memory, except in three cases: a store in this process answers
    // as fast; failures are given back all the time; and only the store knows whether a one-use id is a repeat.
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
        // Limits of failures slow down guessing. While they cannot be counted, no guess may pass, unless the rule
        // itself allows it.
        items.some(({ exact }) => exact) ? "deny" : resolved.onStoreError,
        ask,
      );
      if (!fallback) throw error;
      const { result: instead, limiter, undo } = fallback;
      charges.degraded = true;
      // `undo` gives back the fallback's whole charge, also without `rates`: the request paid with nothing else.
      undos.push(undo);
      if (instead) charges.accuracy = weaker(charges.accuracy, instead.accuracy);
      if (instead?.success === false) {
        receipt.refused = items.find(({ rule }) => rule?.onStoreError === limiter);
        receipt.retryAfter = instead.retryAfter;
      }
      return receipt;
    }
    now = result.at;
    if (Math.abs(now - clock()) > resolved.clockTolerance * 1000) watch.skew();
    charges.accuracy = weaker(charges.accuracy, backend.consistency);
    for (const [i, item] of items.entries()) {
      item.state = result.states[i];
      if (item.rule && item.state && !charged.includes(item)) charged.push(item);
    }
    if (result.ok) {
      // `rateStore` cannot give back.
      if (backend === store) {
        undos.push(async (rates, keep) => {
          const back: Quota[] = [];
          for (const item of items) {
            const { quota, exact, rule, code } = item;
            const rest = (quota.cost ?? 1) - (keep ?? 0);
            if (keep === undefined ? rates || exact || !rule : !rule && !code && rest > 0) {
              back.push({ ...quota, cost: rest });
              if (keep !== undefined) item.quota = { ...quota, cost: keep };
            }
          }
          if (back[0]) await giveBack(back, result.at);
        });
      }
      // At cost 0 a session is only read, and the store refuses nothing. A used-up session may pass here, a revoked or
      // expired one may not.
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

  /** Refuses from memory: within the last second the store said that this rate is full. */
  const refuseAgain = (items: readonly Item[], { index, state, retryAfter }: KnownRefusal, backend: Backend): Receipt => {
    charges.accuracy = weaker(charges.accuracy, backend.consistency);
    const refused = items[index];
    if (refused?.rule) {
      refused.state = state;
      if (!charged.includes(refused)) charged.push(refused);
    }
    return { refused, paid: false, retryAfter };
  };

  const charges: Charges = {
    degraded: false,
    accuracy: "exact",
    subjects: {},
    undos,
    async charge(items) {
      if (!rateStore) return spend(store, items);
      // Charge `rateStore` first. If it refuses, nothing has been charged on `store`, which is all or nothing by
      // itself.
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
      // Best effort: a failed refund costs the client one use.
      for (const undo of undos.splice(0)) await undo(rates).catch(() => watch.down(emit));
    },
    async settle(keep) {
      for (const undo of undos) await undo(false, keep).catch(() => watch.down(emit));
    },
  };
  return charges;
}

/** The lower accuracy of two. */
export function weaker(a: Consistency, b: Consistency): Consistency {
  const order: readonly Consistency[] = ["exact", "local", "approximate"];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}
