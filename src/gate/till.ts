import { isGatepassError } from "../errors.ts";
import type { EventReason, Events } from "../events/types.ts";
import { rateHeaders } from "../http/index.ts";
import type { LimitRule } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, Quota, QuotaState, SpendResult } from "../store/contract.ts";
import type { Settings } from "./options.ts";

/** One quota of a request: of a session's (or fresh token's) uses, unless `rule` or `code` say something else. */
export interface Item {
  quota: Quota;
  /** Of a limit. */
  rule?: LimitRule | undefined;
  /** Of a limit that counts failures: never on the looser store, where nothing is given back. */
  exact?: boolean | undefined;
  /** Of a feature's own quota, which no mode relaxes. */
  code?: PublicCode | undefined;
  reason?: EventReason | undefined;
  /** After the last charge. */
  state?: QuotaState | undefined;
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
  /** Charges all items or none; a store's error is thrown on unless every rule there allows it. */
  charge(items: readonly Item[]): Promise<Receipt>;
  headers(retryAfter?: number): Headers;
  /** Gives back what was charged, once. Never throws. */
  undo(): Promise<void>;
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

export function openTill({ given, resolved, store, clock }: Settings, watch: Watch, emit: Events["emit"]): Till {
  const { rateStore } = given;
  const charged: Item[] = [];
  const paid: [Quota[], number][] = [];

  const spend = async (backend: Backend, items: readonly Item[]): Promise<Receipt> => {
    const receipt: Receipt = { refused: undefined, paid: true, retryAfter: 0 };
    const quotas = items.map(({ quota }) => quota);
    let result: SpendResult;
    try {
      result = await backend.spend(quotas);
    } catch (error) {
      if (!isGatepassError(error)) throw error;
      watch.down(emit, error);
      if (items.some(({ rule }) => (rule ? (rule.onStoreError ?? resolved.onStoreError) : "deny") === "deny")) throw error;
      till.degraded = true;
      return receipt;
    }
    if (Math.abs(result.at - clock()) > resolved.clockTolerance * 1000) watch.skew();
    till.accuracy = weaker(till.accuracy, backend.consistency);
    for (const [i, item] of items.entries()) {
      item.state = result.states[i];
      if (item.rule && item.state && !charged.includes(item)) charged.push(item);
    }
    if (result.ok) {
      // What a looser store counted stays counted.
      if (backend === store) paid.push([quotas, result.at]);
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

  const till: Till = {
    degraded: false,
    accuracy: "exact",
    async charge(items) {
      if (!rateStore) return spend(store, items);
      // Rules on the looser store first: what follows on the exact one is all or nothing by itself.
      const rules = items.filter(({ rule, exact }) => rule && !exact);
      const rest = items.filter(({ rule, exact }) => !rule || exact);
      const first = rules.length > 0 ? await spend(rateStore, rules) : undefined;
      return first && (first.refused || rest.length === 0) ? first : spend(store, rest);
    },
    headers: (retryAfter) =>
      rateHeaders(
        charged.flatMap(({ rule }) => rule ?? []),
        charged.flatMap(({ state }) => state ?? []),
        clock(),
        retryAfter,
      ),
    async undo() {
      // Best effort: what a failed refund costs is one use.
      for (const [quotas, at] of paid.splice(0)) await store.refund(quotas, at).catch(() => watch.down(emit));
    },
  };
  return till;
}

/** The less sure of two. */
export function weaker(a: Consistency, b: Consistency): Consistency {
  const order: readonly Consistency[] = ["exact", "local", "approximate"];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}
