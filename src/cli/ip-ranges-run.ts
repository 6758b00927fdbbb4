import type { Plan } from "./ip-ranges-plan.ts";

/** Exit codes of `gatepass ip-ranges`. */
export const EXIT = { lists: 1, usage: 2, apply: 3, health: 4, locked: 5, restore: 6 } as const;

/** Why a run ended early. Its message goes to stderr and to the alert. */
export class RunFailure extends Error {
  readonly exitCode: number;
  constructor(step: keyof typeof EXIT, message: string, cause?: unknown) {
    super(cause === undefined ? message : `${message}: ${messageOf(cause)}`, { cause });
    this.exitCode = EXIT[step];
  }
}

/** What is said of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What an update does to the world; each rejects with a {@link RunFailure}. */
export interface Effects {
  /**
   * Puts ranges in force: files, the user's command, the state. Does nothing and says false when they are in force already. When it rejects,
   * what was in force before is again (but for the failure `restore`).
   */
  put(ranges: readonly string[], step: "add" | "remove" | "restore"): Promise<boolean>;
  /** Resolves when the origin answers through Cloudflare; null when there is no check, and then nothing is ever removed. */
  healthy: (() => Promise<void>) | null;
}

/** What a run came to. */
export interface Outcome {
  /** In force at the end. */
  ranges: readonly string[];
  /** Taken out of force. */
  removed: readonly string[];
  /** No longer published, and still in force. */
  stale: readonly string[];
  /** Something was written. */
  changed: boolean;
}

/**
 * Adds first, and removes only what a health check on either side of the removal allows: with a list that is wrong, or an origin that is broken
 * already, Cloudflare can still reach us as before.
 *
 * @throws {RunFailure} of an effect; the ranges in force are then those of before, or of after the adding
 */
export async function update({ union, target, stale }: Plan, { put, healthy }: Effects): Promise<Outcome> {
  const changed = await put(union, "add");
  if (healthy && (changed || stale.length > 0)) await healthy();
  if (!healthy || stale.length === 0) return { ranges: union, removed: [], stale, changed };
  await put(target, "remove");
  try {
    await healthy();
  } catch (error) {
    await put(union, "restore").catch((second: unknown) => {
      throw new RunFailure("restore", `Cannot put the removed ranges back, look at once`, `${messageOf(error)}\n${messageOf(second)}`);
    });
    throw error;
  }
  return { ranges: target, removed: stale, stale: [], changed: true };
}
