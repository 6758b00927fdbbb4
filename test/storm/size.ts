import type { Storm } from "./plan.ts";

/** The storm that every shared backend must stand. */
export const STORM = (): Storm => ({ processes: 8, callers: 64, spends: 20_000, expiresAt: Date.now() + 3_600_000 });
