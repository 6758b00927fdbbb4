import type { Quota, SpendResult } from "../src/store/contract.ts";
import { assertInstant, assertQuotas } from "../src/store/validate.ts";
import { assertFunction } from "../src/util/assertions.ts";
import { isJsonObject } from "../src/util/json.ts";
import { assertOptions, type Rules } from "../src/util/options.ts";
import { numberIn, rowsIn, type SqlRow, textIn } from "./_sql.ts";
import type { SqliteValue } from "./_sqlite.ts";
import { type LedgerSession, sqliteLedger } from "./_sqlite-ledger.ts";

/**
 * Where the object answers, by POST of JSON. Requests rather than RPC: stubs have had `fetch` on every compatibility date, RPC needs one from
 * 2024-04-03 and a base class, and it is not faster. The host is the object's lock: a Worker that hands a visitor's request on to a stub
 * (`stub.fetch(request)`) hands on the visitor's URL too, and no visitor's URL has this host, since `.invalid` can never be registered (RFC 2606).
 */
export const ORIGIN = "https://gatepass.invalid/v1/";

/** What the object is asked to do. */
export const CALLS = ["spend", "refund", "block"] as const;
export type ObjectCall = (typeof CALLS)[number];

/** Options of {@link gatepassObject}. */
export interface GatepassObjectOptions {
  /** Milliseconds since the epoch. Default `Date.now`: the clock of the machine that runs the object. */
  clock?: () => number;
}

/** An object that counts. */
export interface GatepassObject {
  /** Answers `durableObjectStore`, and 404 to whoever else asks. */
  fetch(request: Request): Promise<Response>;
  /** Takes away what died. */
  alarm(): Promise<void>;
}

/** What we need of the state of a Durable Object whose class keeps its data in SQLite (Cloudflare's `DurableObjectState`). */
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
/** Milliseconds after a death until the alarm: what dies together is swept together. */
const GRACE = 1000;
/** Milliseconds between two sweeps, besides one for each row: an object that is asked all the time does not sweep all the time. */
const PAUSE = 60_000;
/** Milliseconds that an alarm lies ahead at most: a block until the end of time has an instant that no timer knows. */
const FAR = 30 * 86_400_000;
/** Rows that a sweep looks at before others have their turn. */
const CHUNK = 10_000;

/** The base of a class without one. */
class Nothing {}

/**
 * The class of the objects in which `durableObjectStore` counts: `class Gate extends gatepassObject(DurableObject) {}`. The class needs SQLite
 * (`new_sqlite_classes` in the Worker's configuration). Storage and alarm of its objects belong to the store: an alarm takes away what died,
 * and once nothing is counted any more, the object keeps nothing at all.
 *
 * `base` is `DurableObject` of `cloudflare:workers`; it is handed in so that this module loads everywhere. Without it the class is a plain one,
 * which works as well, but not with `DurableObjectNamespace<Gate>` as a type. In a subclass, let `fetch` and `alarm` call `super`.
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

  /** Whether the class of the object has SQLite. Without it the storage refuses the first statement; any other error is told by the call that meets it. */
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
    // From here to the alarm nothing waits: no other call comes in between.
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
   * Takes away what died, in steps between which others have their turn; sets the next alarm, or leaves nothing behind. It reads all rows: an index
   * of their deaths would double what every write costs, and a written row costs as much as a thousand that are read.
   */
  async sweep(): Promise<void> {
    // Whatever becomes of this one, the next spend sets an alarm again: the runtime gives up on alarms that keep failing.
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

  /** Sweeps the keys after `after`, as many as have one turn: what is left of them, when the first of it dies, and the last key unless it was the very last. */
  #sweepFrom(after: string): { rows: number; first: number; upTo: string | undefined } {
    const last = this.#all(`SELECT key FROM ${TABLE} WHERE key > ? ORDER BY key LIMIT 1 OFFSET ${CHUNK - 1}`, after)[0];
    const upTo = last && textIn(last, "key");
    const [range, bounds] = upTo === undefined ? ["key > ?", [after]] : ["key > ? AND key <= ?", [after, upTo]];
    this.#all(`DELETE FROM ${TABLE} WHERE ${range} AND dies <= ?`, ...bounds, this.#clock());
    const left = this.#all(`SELECT count(*) AS n, min(dies) AS first FROM ${TABLE} WHERE ${range}`, ...bounds)[0] ?? {};
    const rows = numberIn(left, "n");
    return { rows, first: rows > 0 ? numberIn(left, "first") : Number.POSITIVE_INFINITY, upTo };
  }

  /** Sees to it that a sweep comes after `dies`. Setting the alarm is a write, so most calls leave it as it is. */
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

  /** Removes the table when it is empty, and with it the last bytes; unless a subclass keeps something of its own here. */
  async #clear(): Promise<void> {
    if (this.#exists()) {
      if (this.#all(`SELECT 1 FROM ${TABLE} LIMIT 1`).length > 0) return;
      this.#all(`DROP TABLE ${TABLE}`);
    }
    this.#made = false;
    this.#rest = 0;
    const others = this.#all("SELECT 1 FROM sqlite_master WHERE substr(name, 1, 4) <> '_cf_' LIMIT 1").length;
    const { size } = await this.#storage.list({ limit: 1 });
    // A spend that came meanwhile has made the table again.
    if (others + size > 0 || this.#made) return;
    this.#alarm = null;
    // What an alarm leaves goes with `deleteAll` on newer compatibility dates only. Neither waits for the other, so nothing comes in between.
    await Promise.all([this.#storage.deleteAlarm(), this.#storage.deleteAll()]);
  }

  /** All or nothing, also where the disk is full in the middle. The table is made with the first write: what only reads leaves no trace. */
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
