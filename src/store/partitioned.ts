import { isUsesQuota, type Quota, type QuotaState, type SpendResult, type Store } from "./contract.ts";
import { partitionOf } from "./keys.ts";

/**
 * One part of a partitioned store: a slot of a cluster, a shard. It decides atomically, by its own clock, and only
 * knows its own quotas.
 */
export type Place = Pick<Store, "spend" | "refund" | "block">;

/** Options of {@link partitioned}. */
export interface PartitionedOptions<P extends string | number> {
  /**
   * The id of the place of a partition (see `partitionOf`). It must be the same in every process. A spend without
   * quotas asks for "".
   */
  placeOf(partition: string): P;
  /** The place of an id. */
  at(place: P): Place;
  /** Milliseconds after which a spend begins no further step: its caller has got a timeout by then. */
  timeoutMs: number;
}

/** The quotas of a spend that belong to one place. */
interface Group<P> {
  place: P;
  /** Their positions in the spend. */
  indexes: number[];
  quotas: [Quota, ...Quota[]];
}

/** The outcome of a group. */
interface Outcome<P> {
  group: Group<P>;
  result: SpendResult;
  /** It was charged and then given back. */
  returned: boolean;
}

/**
 * One store made of places that cannot decide together. The quotas of one place are charged there in one atomic step.
 * If a spend has several places:
 *
 * 1. The groups that only have rates, or only read, are spent first, in parallel.
 * 2. The groups with uses follow, one by one. Every process takes them in the same order.
 * 3. When one refuses or fails, the charges of the others are given back.
 *
 * It never admits too much: a spend is `ok` only after every group was charged. For a moment it may admit too little,
 * while a spend that will be refused holds charges. A process that dies in between costs a use, and never grants one.
 *
 * The `at` of an admitted spend is the earliest of the places' clocks. So a later refund names, at every place, an
 * instant that is not after its charge. It takes back units that were charged no later than its own, or none. If the
 * instant were later, it could take back units that others charged afterwards, and their charges would leave the window
 * too early. (When a refused spend is given back, each place gets its own `at`.)
 *
 * It does not check quotas and sets no timer: the adapter does both.
 */
export function partitioned<P extends string | number>({ placeOf, at, timeoutMs }: PartitionedOptions<P>): Place {
  const place = (key: string): P => placeOf(partitionOf(key));

  function groupsOf(quotas: readonly Quota[]): Group<P>[] {
    const groups = new Map<P, Group<P>>();
    quotas.forEach((quota, i) => {
      const where = place(quota.key);
      const group = groups.get(where);
      if (group === undefined) groups.set(where, { place: where, indexes: [i], quotas: [quota] });
      else {
        group.indexes.push(i);
        group.quotas.push(quota);
      }
    });
    return [...groups.values()];
  }

  /**
   * Spends groups in parallel and adds their outcomes. When one fails, gives back all outcomes so far and throws its
   * error.
   */
  async function spendAll(groups: readonly Group<P>[], outcomes: Outcome<P>[]): Promise<void> {
    const settled = await Promise.allSettled(
      groups.map(async (group) => ({ group, result: await at(group.place).spend(group.quotas), returned: false })),
    );
    for (const one of settled) if (one.status === "fulfilled") outcomes.push(one.value);
    for (const one of settled) {
      if (one.status === "fulfilled") continue;
      await giveBack(outcomes);
      throw one.reason;
    }
  }

  /** Best effort: a charge that cannot be given back costs a use. */
  async function giveBack(outcomes: readonly Outcome<P>[]): Promise<void> {
    const charged = outcomes.filter(({ group, result }) => result.ok && group.quotas.some(({ cost }) => cost !== 0));
    for (const outcome of charged) outcome.returned = true;
    await Promise.allSettled(charged.map(async ({ group, result }) => at(group.place).refund(group.quotas, result.at)));
  }

  async function spendGroups(groups: readonly Group<P>[]): Promise<SpendResult> {
    const start = performance.now();
    const isLast = ({ quotas }: Group<P>): boolean => quotas.some((quota) => isUsesQuota(quota) && quota.cost !== 0);
    // One order for all processes: otherwise two spends that each hold what the other needs would both be refused.
    const last = groups.filter(isLast).sort((a, b) => (a.place < b.place ? -1 : 1));
    const steps = [groups.filter((group) => !isLast(group)), ...last.map((group) => [group])];
    const outcomes: Outcome<P>[] = [];
    for (const [i, step] of steps.entries()) {
      if (performance.now() - start > timeoutMs) {
        await giveBack(outcomes);
        throw new Error(`No answer within ${timeoutMs} ms`);
      }
      await spendAll(step, outcomes);
      if (outcomes.every(({ result }) => result.ok)) continue;
      const unasked = steps.slice(i + 1).flat();
      const [asked] = await Promise.all([Promise.all(unasked.map(ask)), giveBack(outcomes)]);
      return refusal([...outcomes, ...asked]);
    }
    const states = statesOf(outcomes);
    return { ok: true, at: earliest(outcomes), refused: null, retryAfter: 0, states };
  }

  /**
   * Asks a group for its states without charging it: the spend includes a quota that has expired, so the place must
   * refuse it.
   */
  async function ask(group: Group<P>): Promise<Outcome<P>> {
    const { quotas } = group;
    let key = `${partitionOf(quotas[0].key)}|`;
    while (quotas.some((quota) => quota.key === key)) key += "~";
    const result = await at(group.place).spend([...quotas, { key, limit: 1, expiresAt: 0 }]);
    if (result.ok) throw new Error("A quota that has expired was admitted");
    return { group, result, returned: false };
  }

  return {
    async spend(quotas) {
      const groups = groupsOf(quotas);
      const [only] = groups;
      if (groups.length > 1) return spendGroups(groups);
      return at(only?.place ?? placeOf("")).spend(quotas);
    },
    async refund(quotas, instant) {
      const settled = await Promise.allSettled(groupsOf(quotas).map(async (group) => at(group.place).refund(group.quotas, instant)));
      for (const one of settled) if (one.status === "rejected") throw one.reason;
    },
    async block(key, expiresAt) {
      await at(place(key)).block(key, expiresAt);
    },
  };
}

/** The answer of a refused spend over several groups, as a single store would give it. */
function refusal<P>(outcomes: readonly Outcome<P>[]): SpendResult {
  let uses = Number.POSITIVE_INFINITY;
  let rate: number | null = null;
  let longest = 0;
  for (const { group, result } of outcomes.filter((outcome) => !outcome.result.ok)) {
    const refusing = [...group.quotas.keys()].filter((i) => result.states[i]?.why !== undefined && group.quotas[i]?.cost !== 0);
    const [first] = refusing.filter((i) => isUses(group.quotas[i]));
    if (first !== undefined) uses = Math.min(uses, group.indexes[first] ?? uses);
    // The place knows the waits, so its `refused` counts. If that is a uses quota, take the rate that resets last.
    const resetAt = (i: number): number => result.states[i]?.resetAt ?? 0;
    const [latest] = refusing.filter((i) => !isUses(group.quotas[i])).sort((a, b) => resetAt(b) - resetAt(a));
    const named = result.refused ?? group.quotas.length;
    const slowest = isUses(group.quotas[named]) ? latest : named;
    if (slowest === undefined || result.retryAfter <= longest) continue;
    longest = result.retryAfter;
    rate = group.indexes[slowest] ?? null;
  }
  const refused = Number.isFinite(uses) ? uses : rate;
  return { ok: false, at: earliest(outcomes), refused, retryAfter: longest, states: statesOf(outcomes) };
}

function isUses(quota: Quota | undefined): boolean {
  // The position after the last quota is the expired quota that `ask` adds.
  return quota === undefined || isUsesQuota(quota);
}

/** The states in the order of the spend. For a group that was given back, the states before its charge. */
function statesOf<P>(outcomes: readonly Outcome<P>[]): QuotaState[] {
  const states: QuotaState[] = [];
  for (const { group, result, returned } of outcomes) {
    group.quotas.forEach((quota, i) => {
      const state = result.states[i];
      if (state === undefined) throw new Error("A place answered for other quotas");
      states[group.indexes[i] ?? i] = returned ? before(quota, state, result.at) : state;
    });
  }
  return states;
}

function before(quota: Quota, state: QuotaState, at: number): QuotaState {
  const remaining = state.remaining + (quota.cost ?? 1);
  const unused = remaining === quota.limit && !isUsesQuota(quota) && quota.cost !== 0;
  return { ...state, remaining, resetAt: unused ? at : state.resetAt };
}

function earliest<P>(outcomes: readonly Outcome<P>[]): number {
  return Math.min(...outcomes.map(({ result }) => result.at));
}
