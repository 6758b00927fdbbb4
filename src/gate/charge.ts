import { isGatepassError } from "../errors.ts";
import type { EventReason } from "../events/types.ts";
import type { LimitRule } from "../limits/types.ts";
import type { PublicCode } from "../protocol.ts";
import type { Consistency, Quota, QuotaState, RateQuota, SpendResult } from "../store/contract.ts";
import type { Settings } from "./options.ts";

/** One quota of a request, and what its refusal means. */
export interface Item {
  quota: Quota;
  /** `uses`: the session's (or fresh token's) counter. `rule`: a limit's. `extra`: a feature's own, which no mode relaxes. */
  kind: "uses" | "rule" | "extra";
  rule?: LimitRule;
  /** Of an extra's refusal. */
  code?: PublicCode;
  reason?: EventReason | undefined;
}

/** What a spend did. */
export interface Charged {
  ok: boolean;
  /** The refusing item. */
  refused: Item | undefined;
  retryAfter: number;
  /** One per item, undefined where nothing was asked: behind a refusal, or with the store down. */
  states: readonly (QuotaState | undefined)[];
  /** The backend was down and every rule lets that pass. */
  degraded: boolean;
  accuracy: Consistency;
  /** Gives back what was charged. Never throws. */
  undo(): Promise<void>;
}

/** Charges items; `ERR_STORE_...` is thrown on unless every item is a rule that allows it. */
export type Charge = (items: readonly Item[]) => Promise<Charged>;

const nothing = (): Promise<void> => Promise.resolve();

/** What a spend may notice. */
export interface ChargeWatch {
  /** A store failed; `error` is thrown on, or was passed over. */
  down(error?: Error): void;
  /** The store's clock and ours differ by more than the tolerance: milliseconds. */
  skew(by: number): void;
}

export function createCharge({ given, resolved, store, clock }: Settings, watch: ChargeWatch): Charge {
  const { rateStore } = given;
  const allowed = (items: readonly Item[]): boolean =>
    items.every(({ rule }) => rule && (rule.onStoreError ?? resolved.onStoreError) === "allow");

  /** The result of a spend; undefined when the backend is down and all its rules let that pass. */
  const spend = async (items: readonly Item[], run: () => Promise<SpendResult>): Promise<SpendResult | undefined> => {
    try {
      const result = await run();
      const skew = Math.abs(result.at - clock());
      if (skew > resolved.clockTolerance * 1000) watch.skew(skew);
      return result;
    } catch (error) {
      if (!isGatepassError(error)) throw error;
      watch.down(error);
      if (allowed(items)) return undefined;
      throw error;
    }
  };
  const onStore = async (items: readonly Item[]): Promise<Charged> => {
    const quotas = items.map(({ quota }) => quota);
    const result = await spend(items, () => store.spend(quotas));
    let open = result?.ok === true;
    return {
      ok: result === undefined || result.ok,
      refused: result && !result.ok ? (items[result.refused ?? 0] ?? items[0]) : undefined,
      retryAfter: result?.retryAfter ?? 0,
      states: result?.states ?? [],
      degraded: result === undefined,
      accuracy: store.consistency,
      undo: async () => {
        if (!open || !result) return;
        open = false;
        // Best effort: what a failed refund costs is one use.
        await store.refund(quotas, result.at).catch(() => watch.down());
      },
    };
  };
  if (!rateStore) return onStore;

  /** Rules on the looser store first: nothing is given back there, and what follows on the exact one is all or nothing by itself. */
  return async (items) => {
    const rules = items.filter(({ kind }) => kind === "rule");
    const rest = items.filter(({ kind }) => kind !== "rule");
    if (rules.length === 0) return onStore(items);
    const rates = rules.map(({ quota }) => quota).filter((quota): quota is RateQuota => "window" in quota);
    const first = await spend(rules, () => rateStore.spend(rates));
    const base = { retryAfter: first?.retryAfter ?? 0, degraded: first === undefined, accuracy: rateStore.consistency };
    const at = (state: readonly (QuotaState | undefined)[] = []): Charged["states"] =>
      items.map((item) => (item.kind === "rule" ? first?.states[rules.indexOf(item)] : state[rest.indexOf(item)]));
    if (first && !first.ok) {
      return { ...base, ok: false, refused: rules[first.refused ?? 0] ?? rules[0], states: at(), undo: nothing };
    }
    if (rest.length === 0) return { ...base, ok: true, refused: undefined, states: at(), undo: nothing };
    const second = await onStore(rest);
    return { ...second, degraded: base.degraded, accuracy: weaker(base.accuracy, second.accuracy), states: at(second.states) };
  };
}

/** The less sure of two. */
export function weaker(a: Consistency, b: Consistency): Consistency {
  const order: readonly Consistency[] = ["exact", "local", "approximate"];
  return order.indexOf(a) > order.indexOf(b) ? a : b;
}
