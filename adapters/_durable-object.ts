import type { Quota, SpendResult } from "../src/store/contract.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { assertFunction } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";
import { assertOptions, type Rules } from "../src/util/options.ts";
import { numberIn, rowsIn, type SqlRow, textIn } from "./_sql.ts";
import type { SqliteValue } from "./_sqlite.ts";
import { type LedgerSession, sqliteLedger } from "./_sqlite-ledger.ts";

/**
 * The URL at which the object answers, by POST of JSON.
 *
 * Requests instead of RPC: stubs have `fetch` on every compatibility date. RPC needs a date from 2024-04-03 on and a
 * base class, and is not faster.
 *
 * The host protects the object. A Worker may pass a visitor's request to a stub (`stub.fetch(request)`), with the
 * visitor's URL. No visitor's URL has this host, since `.invalid` can never be registered (RFC 2606).
 */
export const ORIGIN = "https://gatepass.invalid/v1/";

/** The calls of an object. */
export const CALLS = ["spend", "refund", "block"] as const;
export type ObjectCall = (typeof CALLS)[number];

/** Options of {@link gatepassObject}. */
export interface GatepassObjectOptions {
  /** Milliseconds since the epoch. Default `Date.now`: the clock of the machine that runs the object. */
  clock?: () => number;
}

/** An object that counts. */
export interface GatepassObject {
  /** Answers `durableObjectStore`; any other request gets a 404. */
  fetch(request: Request): Promise<Response>;
  /** Removes expired rows. */
  alarm(): Promise<void>;
}

/**
 * The part of a Durable Object's state that is used (Cloudflare's `DurableObjectState`). The class must keep its data
 * in SQLite.
 */
export interface ObjectState {
  storage: {
    sql: { exec(query: string, ...bindings: SqliteValue[]): { toArray(): SqlRow[] } };
    transactionSync<T>(closure: () => T): T;
    getAlarm(): Promise<number | null>;
    setAlarm(scheduledTime: number): Promise<void>;
    deleteAlarm(): Promise<void>;
    deleteAll(): Promise<void>;
    list(options: { limit: number }): Promise<{ size: number }>;
  };
}

const TABLE = "gatepass_store";
/**
 * Milliseconds from a row's expiry to the alarm, so that rows which expire at nearly the same time are swept together.
 */
const GRACE = 1000;
/** Milliseconds between two sweeps, plus one for each row: a busy object must not sweep all the time. */
const PAUSE = 60_000;
/** The longest time to an alarm, in milliseconds. A block may end later than any timer can be set. */
const FAR = 30 * 86_400_000;
/** Rows that a sweep looks at before other calls get a turn. */
const CHUNK = 10_000;

/** The base class where none is given. */
class Nothing {}

/**
 * The class of the objects in which `durableObjectStore` counts: `class Gate extends gatepassObject(DurableObject) {}`.
 * The class needs SQLite (`new_sqlite_classes` in the Worker's configuration). Storage and alarm of its objects belong
 * to the store: an alarm removes expired rows. An object without any row left deletes its whole storage.
 *
 * `base` is `DurableObject` of `cloudflare:workers`. It is a parameter so that this module can be loaded on every
 * platform. Without it the class works too, but not with the type `DurableObjectNamespace<Gate>`. If a subclass
 * overrides `fetch` or `alarm`, it has to call `super`.
 *
 * @throws {TypeError} `base` is no class, or has an alarm of its own; an unknown option
 *
 * @example
 * ```ts
 * import { gatepassObject } from "gatepass/adapters/durable-object";
 * // In a Worker: import { DurableObject } from "cloudflare:workers";
 * class DurableObject {}
 * class Gate extends gatepassObject(DurableObject) {}
 * console.assert(typeof Gate.prototype.alarm === "function");
 * ```
 */
export function gatepassObject<B extends abstract new (ctx: never, env: never) => object>(
  base: B,
  options?: GatepassObjectOptions,
): new (
  ...args: ConstructorParameters<B>
) => InstanceType<B> & GatepassObject;
export function gatepassObject(): new (ctx: ObjectState, env?: unknown) => GatepassObject;
export function gatepassObject(
  base: new (ctx: ObjectState, env: unknown) => object = Nothing,
  options: GatepassObjectOptions = {},
): new (
  ctx: ObjectState,
  env: unknown,
) => GatepassObject {
  assertFunction("base", base);
  if ("alarm" in base.prototype) throw new TypeError('Invalid "base": it has an alarm, and an object has one only');
  assertOptions("gatepassObject", options, { clock: "function" } satisfies Rules<GatepassObjectOptions>);
  const { clock = Date.now } = options;

  return class extends base implements GatepassObject {
    readonly #counter: Counter;

    constructor(ctx: ObjectState, env: unknown) {
      super(ctx, env);
      this.#counter = new Counter(ctx.storage, clock);
    }

    async fetch(request: Request): Promise<Response> {
      const call = CALLS.find((name) => request.url === ORIGIN + name);
      if (call === undefined || request.method !== "POST") return new Response(null, { status: 404 });
      if (!this.#counter.hasSqlite()) return new Response(null, { status: NO_SQLITE });
      return Response.json(await this.#counter.answer(call, await request.json()));
    }

    async alarm(): Promise<void> {
      await this.#counter.sweep();
    }
  };
}

/** The status that an object answers whose class has no SQLite. */
export const NO_SQLITE = 501;

/** Records in an object's SQLite. */
class Counter {
  readonly #storage: ObjectState["storage"];
  readonly #clock: () => number;
  readonly #ledger = sqliteLedger(TABLE);
  /** Whether the table is there. */
  #made: boolean | undefined;
  /** Whether the storage was asked for SQLite, and did not say that there is none. */
  #asked = false;
  /** When the alarm rings, by the clock of the machine; null: it is not set; undefined: not known yet. */
  #alarm: number | null | undefined;
  /** Milliseconds since the epoch before which no sweep is due. */
  #rest = 0;

  constructor(storage: ObjectState["storage"], clock: () => number) {
    this.#storage = storage;
    this.#clock = clock;
  }

  /**
   * Whether the object's class has SQLite: without it the storage refuses the first statement. Other errors are left to
   * the call that follows.
   */
  hasSqlite(): boolean {
    if (this.#asked) return true;
    try {
      this.#all("SELECT 1");
    } catch (error) {
      if (/sql is not enabled/i.test(String(error))) return false;
    }
    this.#asked = true;
    return true;
  }

  async answer(call: ObjectCall, body: unknown): Promise<SpendResult | { done: ObjectCall }> {
    const { quotas, at, key, expiresAt } = isJsonObject(body) ? body : {};
    if (this.#alarm === undefined) this.#alarm = await this.#storage.getAlarm();
    // No `await` from here until the alarm is set: no other call can come in between.
    const now = this.#clock();
    switch (call) {
      case "spend": {
        const asked = quotasIn(quotas);
        const result = this.#transact((session) => this.#ledger.spend(session, asked, now));
        const deaths = result.ok ? result.states.filter((_, i) => asked[i]?.cost !== 0).map(({ resetAt }) => resetAt) : [];
        await this.#wake(Math.min(...deaths), now);
        return result;
      }
      case "refund": {
        const asked = quotasIn(quotas);
        const since = numberIn({ at }, "at");
        this.#transact((session) => this.#ledger.refund(session, asked, since, now));
        return { done: call };
      }
      case "block": {
        const [blocked, until] = [textIn({ key }, "key"), numberIn({ expiresAt }, "expiresAt")];
        assertInstant("expiresAt", until);
        this.#transact((session) => this.#ledger.block(session, blocked, until, now));
        if (until > now) await this.#wake(until, now);
        return { done: call };
      }
    }
  }

  /**
   * Removes expired rows, in steps between which other calls get a turn. Then sets the next alarm, or deletes the whole
   * storage. It reads all rows: an index of their expiry would double the cost of every write, and a written row costs
   * as much as a thousand rows that are read.
   */
  async sweep(): Promise<void> {
    // Even if this sweep fails, the next spend sets an alarm: the runtime stops repeating an alarm that keeps failing.
    this.#alarm = null;
    let [rows, first, after] = [0, Number.POSITIVE_INFINITY, ""];
    while (this.#exists()) {
      const range = this.#sweepFrom(after);
      rows += range.rows;
      first = Math.min(first, range.first);
      if (range.upTo === undefined) break;
      after = range.upTo;
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    this.#rest = Date.now() + PAUSE + rows;
    if (rows > 0) await this.#wake(first, this.#clock());
    else await this.#clear();
  }

  /**
   * Sweeps up to `CHUNK` keys after `after`. Returns how many rows are left of them, when the first of these expires,
   * and the last key (`upTo`; undefined: there are no more keys).
   */
  #sweepFrom(after: string): { rows: number; first: number; upTo: string | undefined } {
    const last = this.#all(`SELECT key FROM ${TABLE} WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${CHUNK - 1}`, after)[0];
    const upTo = last && textIn(last, "key");
    const [range, bounds] = upTo === undefined ? ["key > ?", [after]] : ["key > ? AND key <= ?", [after, upTo]];
    this.#all(`DELETE FROM ${TABLE} WHERE ${range} AND dies <= ?`, ...bounds, this.#clock());
    const left = this.#all(`SELECT count(*) AS n, min(dies) AS first FROM ${TABLE} WHERE ${range}`, ...bounds)[0] ?? {};
    const rows = numberIn(left, "n");
    return { rows, first: rows > 0 ? numberIn(left, "first") : Number.POSITIVE_INFINITY, upTo };
  }

  /**
   * Makes sure that a sweep follows the instant `dies`. Setting the alarm is a write, so an earlier alarm is left as it
   * is.
   */
  async #wake(dies: number, now: number): Promise<void> {
    if (dies === Number.POSITIVE_INFINITY) return;
    const at = Math.max(Date.now() + Math.min(dies - now + GRACE, FAR), this.#rest);
    if (typeof this.#alarm === "number" && this.#alarm <= at) return;
    this.#alarm = at;
    try {
      await this.#storage.setAlarm(at);
    } catch (error) {
      this.#alarm = undefined;
      throw error;
    }
  }

  /** Removes the table if it is empty, and then the whole storage, unless a subclass keeps data of its own in it. */
  async #clear(): Promise<void> {
    if (this.#exists()) {
      if (this.#all(`SELECT 1 FROM ${TABLE} LIMIT 1`).length > 0) return;
      this.#all(`DROP TABLE ${TABLE}`);
    }
    this.#made = false;
    this.#rest = 0;
    const others = this.#all("SELECT 1 FROM sqlite_master WHERE substr(name, 1, 4) <> '_cf_' LIMIT 1").length;
    const { size } = await this.#storage.list({ limit: 1 });
    // Stop if a spend has created the table again meanwhile.
    if (others + size > 0 || this.#made) return;
    this.#alarm = null;
    // `deleteAll` only includes the alarm on newer compatibility dates. Both are started at once, so that no call comes
    // in between.
    await Promise.all([this.#storage.deleteAlarm(), this.#storage.deleteAll()]);
  }

  /**
   * Runs `work` in a transaction: all or nothing, also if the disk gets full. The first write creates the table, so an
   * object that is only read stores nothing.
   */
  #transact<T>(work: (session: LedgerSession) => T): T {
    const before = this.#exists();
    try {
      return this.#storage.transactionSync(() =>
        work({
          all: (sql, ...values) => (this.#made ? this.#all(sql, ...values) : []),
          run: (sql, ...values) => {
            if (!this.#made && sql.startsWith("DELETE")) return;
            if (!this.#made) this.#all(this.#ledger.schema);
            this.#made = true;
            this.#all(sql, ...values);
          },
        }),
      );
    } catch (error) {
      this.#made = before;
      throw error;
    }
  }

  #exists(): boolean {
    this.#made ??= this.#all("SELECT 1 FROM sqlite_master WHERE name = ?", TABLE).length > 0;
    return this.#made;
  }

  #all(sql: string, ...values: SqliteValue[]): SqlRow[] {
    return rowsIn(this.#storage.sql.exec(sql, ...values).toArray());
  }
}

function quotasIn(value: unknown): Quota[] {
  const quotas = Array.isArray(value) ? value.filter(isQuota) : [];
  if (!Array.isArray(value) || quotas.length !== value.length) throw new TypeError('Invalid "quotas"');
  assertQuotas(quotas);
  return quotas;
}

function isQuota(value: unknown): value is Quota {
  if (!isJsonObject(value) || typeof value["key"] !== "string" || typeof value["limit"] !== "number") return false;
  return typeof value["window"] === "number" || typeof value["expiresAt"] === "number";
}
