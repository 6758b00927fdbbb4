import { isGatepassError } from "../errors.ts";
import type { Store } from "../store/contract.ts";
import { integer, methods, type Rules } from "../util/options.ts";
import type { TestKit } from "./board.ts";

/** A store to test, and how to look behind it. What is left out is not tested (or, without `advance`, by waiting). */
export interface StoreUnderTest {
  /** Empty. */
  store: Store;
  /** Moves the store's clock by milliseconds, also back. Without it, time is real. */
  advance?(ms: number): void | Promise<void>;
  /** Every key that the backend holds, looked up in the backend itself. */
  dump?(): string[] | Promise<string[]>;
  /** A further store over the same backend, as another process would have. */
  another?(): Store | Promise<Store>;
  /** Makes the backend stop answering, and gives the function that makes it answer again. */
  hang?(): (() => void | Promise<void>) | Promise<() => void | Promise<void>>;
  /**
   * A further store over the same backend, with a short `timeoutMs`: what `hang` is tested with. Give `store` itself a long one, so that a busy machine
   * fails no other test. Default: `store`.
   */
  impatient?(): Store | Promise<Store>;
  /** Milliseconds: the `timeoutMs` of the store that `hang` is tested with. Default 2000. */
  timeoutMs?: number;
  /** A fresh store that holds `maxKeys` keys at most, for bounded stores. */
  bounded?(maxKeys: number): Store;
  /** Random schedules of some 60 calls each, for backends that take long for them. Default 120. */
  schedules?: number;
  /** Cleans up after one test. */
  dispose?(): void | Promise<void>;
}

/** What `make` may give. A member that is misspelt would leave out what it stands for. */
export const UNDER: Rules<StoreUnderTest> = {
  store: methods("spend", "refund", "block"),
  advance: "function",
  dump: "function",
  another: "function",
  hang: "function",
  impatient: "function",
  timeoutMs: integer(1, 60_000),
  bounded: "function",
  schedules: integer(1, 100_000),
  dispose: "function",
};

/** What the tests use. */
export interface StoreTools {
  under: StoreUnderTest;
  /** The store's clock when the test began. */
  now: number;
  /** Lets time pass for the store. */
  pass(ms: number): Promise<void>;
  /** The keys in the backend, sorted; always empty where they cannot be looked up. */
  keys(): Promise<string[]>;
  /** The store, and another handle where there is one. */
  handles(): Promise<Store[]>;
  /** Numbers in 0..1, the same in every run. */
  random(): number;
}

/** Declares one test over a fresh store. */
export type StoreTest = (name: string, body: (store: Store, tools: StoreTools) => Promise<void>) => void;

export async function toolsOf(under: StoreUnderTest, kit: TestKit, seed = 1): Promise<StoreTools> {
  const { ok, at } = await under.store.spend([]);
  kit.expect(ok).toEqual(true);
  let state = seed;
  return {
    under,
    now: at,
    pass: async (ms) => (under.advance ? under.advance(ms) : new Promise((resolve) => setTimeout(resolve, ms))),
    keys: async () => [...((await under.dump?.()) ?? [])].sort(),
    handles: async () => (under.another ? [under.store, await under.another()] : [under.store]),
    random() {
      // Mulberry32.
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}

/** Name and code of what a promise rejects with; undefined when it does not. */
export async function errorOf(promise: Promise<unknown>): Promise<{ name: string; code: string | undefined } | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return { name: error instanceof Error ? error.name : typeof error, code: isGatepassError(error) ? error.code : undefined };
  }
}

/** Texts that try to be another one's key. */
export const HOSTILE_TEXTS: readonly string[] = [
  "",
  "a",
  "A",
  "a:b",
  "a|b",
  "{a}",
  "a}{b",
  "a b",
  "a\nb",
  "a\u0000",
  "sa",
  "ha",
  "203.0.113.9",
  "20010db800010000",
  "x".repeat(48),
  "x".repeat(49),
  "x".repeat(80),
  "x".repeat(10_000),
  "é",
  "e\u0301",
  "\ud800",
  "\ud801",
  "\ufffd",
  "jti:a",
  "s1.2.3.4|rrule:60",
  "__proto__",
  "constructor",
];
