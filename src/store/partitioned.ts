import { isUsesQuota, type Quota, type QuotaState, type SpendResult, type Store } from "./contract.ts";
import { partitionOf } from "./keys.ts";

/** One place that decides by itself, in one step and by its own clock: a slot of a cluster, a shard. It knows its own quotas only. */
export type Place = Pick<Store, "spend" | "refund" | "block">;

/** What {@link partitioned} needs to know. */
export interface PartitionedOptions<P extends string | number> {
  /** Where the keys of a partition (see `partitionOf`) live. The same in every process; "" where there are no keys at all. */
  placeOf(partition: string): P;
  /** That place. */
  at(place: P): Place;
  /** Milliseconds after which a spend begins no further step: who asked has been told that it failed. */
  timeoutMs: number;
}

/** Some of a spend's quotas: those of one place. */
interface Group<P> {
  place: P;
  /** Where they stand in the spend. */
  indexes: number[];
  quotas: [Quota, ...Quota[]];
}

/** What became of a group. */
interface Outcome<P> {
  group: Group<P>;
  result: SpendResult;
  /** Whether it was charged, and then given back. */
  returned: boolean;
}

/**
 * One store out of places that cannot decide together. Quotas of one place are one step there. Of several, the groups that only hold rates (or only
 * read) are spent first, side by side; those with uses after them, one by one and in the same order by everybody; when one refuses or rejects,
 * what the others admitted is given back. Never is too much admitted: nothing is `ok` before every group was charged. Too little may be, as long as a
 * batch that is going to be refused holds what it gives back; and a process that dies in between costs a use, and never grants one.
 *
 * `at` of an admitted spend is the earliest of the places' clocks. So a later refund names, in each place, an instant that is not after its charge:
 * it takes units that were charged no later than its own (of its own sub-window, as long as the clocks agree), or none at all. Units that stay then
 * leave no earlier than the charges that they stand for, and guarantee 3 holds however far the clocks are apart; one that named a later instant
 * could take units that others charged after it. (What a refused batch gives back, each place is told by its own clock.)
 *
 * Checks no quotas and sets no timer: the adapter does both, around it.
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

  /** Spends groups side by side and adds what they said; gives back everything so far when one rejects. */
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

  /** Best effort: what cannot be given back has cost a use. */
  async function giveBack(outcomes: readonly Outcome<P>[]): Promise<void> {
    const charged = outcomes.filter(({ group, result }) => result.ok && group.quotas.some(({ cost }) => cost !== 0));
    for (const outcome of charged) outcome.returned = true;
    await Promise.allSettled(charged.map(async ({ group, result }) => at(group.place).refund(group.quotas, result.at)));
  }

  async function spendGroups(groups: readonly Group<P>[]): Promise<SpendResult> {
    const start = performance.now();
    const isLast = ({ quotas }: Group<P>): boolean => quotas.some((quota) => isUsesQuota(quota) && quota.cost !== 0);
    // In one order for all: two batches that each hold what the other one needs would both be refused.
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

  /** What a group would have said to its very costs: charged together with what nobody admits, it is told and not charged. */
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

/** The answer of several groups, of which one refused, as one store would give it. */
function refusal<P>(outcomes: readonly Outcome<P>[]): SpendResult {
  let uses = Number.POSITIVE_INFINITY;
  let rate: number | null = null;
  let longest = 0;
  for (const { group, result } of outcomes.filter((outcome) => !outcome.result.ok)) {
    const refusing = [...group.quotas.keys()].filter((i) => result.states[i]?.why !== undefined && group.quotas[i]?.cost !== 0);
    const [first] = refusing.filter((i) => isUses(group.quotas[i]));
    if (first !== undefined) uses = Math.min(uses, group.indexes[first] ?? uses);
    // Its own word counts, which knows the waits; where that names a uses quota, the rate that is empty last.
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
  // Beyond the end stands the quota by which a group was asked.
  return quota === undefined || isUsesQuota(quota);
}

/** The states in the order of the spend; what was given back as it was before. */
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
