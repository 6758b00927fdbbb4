import { randomId } from "../src/util/random.ts";
import type { OwnConnection, Send } from "./_redis-client.ts";
import { hasCode } from "./_redis-script.ts";
import { slotOf } from "./_redis-slot.ts";

/** Options of {@link confirmedSend}. */
export interface Confirmation {
  /** How many replicas must have a write before its answer counts. */
  replicas: number;
  /** Milliseconds for the replicas to acknowledge. */
  waitMs: number;
  /** Milliseconds after which a caller no longer waits. */
  timeoutMs: number;
}

interface Item {
  command: string;
  args: string[];
  deadline: number;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

/** The most commands before one WAIT. */
const BATCH = 256;

/**
 * Sends commands over connections of its own. A command resolves when `replicas` have acknowledged its write, and
 * rejects otherwise.
 *
 * - WAIT only covers the writes of its own connection, and blocks that connection. So no other code may use these
 *   connections, and all commands that arrive during one WAIT share the next one.
 * - A driver may replace a broken connection in the middle of a batch. The new connection has written nothing, so its
 *   WAIT succeeds at once. Therefore each batch first gives its connection a random name, and reads the name at the
 *   end. Only the same connection still has it.
 * - A redirection is not followed, since it would write over another connection. The command is sent again to the right
 *   server.
 */
export function confirmedSend(duplicate: () => Promise<OwnConnection>, confirmation: Confirmation): { send: Send; close(): void } {
  const batchers = new WeakMap<Send, (item: Item) => void>();
  let opening: Promise<OwnConnection> | undefined;
  let locating: Promise<unknown> | undefined;
  let closed = false;

  /** Opens the connections at the first call, or again after a failure. */
  function open(): Promise<OwnConnection> {
    if (closed) return Promise.reject(new Error("The store is closed"));
    opening ??= duplicate().then(
      (own) => {
        if (closed) own.close();
        return own;
      },
      (error: unknown) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  }

  function locate(own: OwnConnection, key: string): Promise<unknown> {
    locating ??= own
      .locate(key)
      .catch(() => undefined)
      .finally(() => {
        locating = undefined;
      });
    return locating;
  }

  async function send(command: string, args: string[], key = ""): Promise<unknown> {
    const deadline = performance.now() + confirmation.timeoutMs;
    const own = await open();
    for (;;) {
      const to = await own.to(slotOf(key)).catch(() => undefined);
      try {
        if (to === undefined) throw new Error("MOVED: no server is known for the slot");
        return await new Promise((resolve, reject) => batcherOf(to)({ command, args, deadline, resolve, reject }));
      } catch (error) {
        const located = locate(own, key);
        // After MOVED the server has done nothing, so the command may be sent again. After any other error it may have
        // been charged.
        if (!hasCode(error, "MOVED") || performance.now() >= deadline) throw error;
        await located;
      }
    }
  }

  function batcherOf(to: Send): (item: Item) => void {
    const known = batchers.get(to) ?? createBatcher(to, confirmation);
    batchers.set(to, known);
    return known;
  }

  return {
    send,
    close() {
      closed = true;
      opening?.then(
        (own) => own.close(),
        () => undefined,
      );
    },
  };
}

function createBatcher(to: Send, { replicas, waitMs }: Confirmation): (item: Item) => void {
  const waiting: Item[] = [];
  let busy = false;
  // An async function, since some drivers throw instead of rejecting.
  const ask = async (command: string, ...args: string[]): Promise<unknown> => to(command, args);

  async function run(batch: readonly Item[]): Promise<void> {
    const name = randomId();
    // Send all commands before awaiting the first, so that the driver sends nothing in between.
    const [, , acknowledged, nameAfter] = await Promise.allSettled([
      ask("client", "SETNAME", name),
      Promise.all(
        batch.map(async (item) => {
          const outcome = await ask(item.command, ...item.args).then(
            (answer) => ({ answer }),
            (error: unknown) => ({ error }),
          );
          outcomes.set(item, outcome);
        }),
      ),
      ask("wait", String(replicas), String(waitMs)),
      ask("client", "GETNAME"),
    ]);
    const same = nameAfter.status === "fulfilled" && String(nameAfter.value) === name;
    const count = acknowledged.status === "fulfilled" ? Number(acknowledged.value) : 0;
    const confirmed = same && count >= replicas;
    for (const item of batch) {
      const outcome = outcomes.get(item);
      outcomes.delete(item);
      if (outcome === undefined || "error" in outcome) item.reject(outcome?.error);
      else if (confirmed) item.resolve(outcome.answer);
      else
        item.reject(
          new Error(same ? `Acknowledged by ${count} of ${replicas} replicas` : "The connection broke before replicas acknowledged"),
        );
    }
  }
  const outcomes = new Map<Item, { answer: unknown } | { error: unknown }>();

  async function pump(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH).filter((item) => {
        const inTime = item.deadline > performance.now();
        // Its caller no longer waits. If it were sent now, it would be charged for nobody.
        if (!inTime) item.reject(new Error("The time was over before it could be sent"));
        return inTime;
      });
      if (batch.length > 0) await run(batch);
    }
    busy = false;
  }

  return (item) => {
    waiting.push(item);
    if (!busy) void pump();
  };
}
