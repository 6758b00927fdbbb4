import { randomId } from "../src/util/random.ts";
import type { OwnConnection, Send } from "./_redis-client.ts";
import { hasCode } from "./_redis-script.ts";
import { slotOf } from "./_redis-slot.ts";

/** What {@link confirmedSend} waits for. */
export interface Confirmation {
  /** Replicas that must have a write before its answer counts. */
  replicas: number;
  /** Milliseconds that they have for it. */
  waitMs: number;
  /** Milliseconds until a caller has given up. */
  timeoutMs: number;
}

interface Item {
  command: string;
  args: string[];
  deadline: number;
  resolve(answer: unknown): void;
  reject(error: unknown): void;
}

const BATCH = 256;

/**
 * Sends commands over connections of their own and resolves when `replicas` have acknowledged what they wrote; rejects when they do not.
 *
 * WAIT tells of the writes of its own connection, and stops that connection meanwhile: hence connections that nobody else uses, and one WAIT for all
 * commands that gathered while the one before was waiting. A connection that broke in between is another one afterwards, which wrote nothing, and
 * whose WAIT says yes at once: so each batch gives its connection a random name first and asks for it last. Only who has lived through all of it
 * still knows it. Nor is a redirection followed, which would write elsewhere: after one, the command is sent again to where it belongs.
 */
export function confirmedSend(duplicate: () => Promise<OwnConnection>, confirmation: Confirmation): { send: Send; close(): void } {
  const batchers = new WeakMap<Send, (item: Item) => void>();
  let opening: Promise<OwnConnection> | undefined;
  let locating: Promise<unknown> | undefined;
  let closed = false;

  /** Opened by the first call, and by the next one where that failed. */
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
        // It has done nothing there. After any other error it may have, and what was spent must not be spent again.
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
  // Some drivers throw rather than reject.
  const ask = async (command: string, ...args: string[]): Promise<unknown> => to(command, args);

  async function run(batch: readonly Item[]): Promise<void> {
    const name = randomId();
    // All are written before the first is awaited, so that nothing of the driver's comes in between.
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
        // Its caller is gone; sent now, it would be charged to nobody.
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
