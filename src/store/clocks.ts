/**
 * Milliseconds that the clock of a process may be wrong, either way, before a token could be spent more often than it
 * has uses: two hours.
 */
export const MAX_OFFSET: number = 2 * 3_600_000;

/**
 * Milliseconds that a store keeps a use or a block which is over by the clock of the process that looks, where each
 * process goes by its own clock. One that is two hours ahead and one that is two hours behind are four hours apart. If
 * the first one removed what is over to it alone, the second one could spend it again.
 */
export const GRACE: number = 2 * MAX_OFFSET;
