/**
 * Milliseconds by which a process's clock may be wrong, either way. Up to two hours no token gets more uses than it
 * has.
 */
export const MAX_OFFSET: number = 2 * 3_600_000;

/**
 * Milliseconds for which a store keeps uses and blocks after they expire, if each process uses its own clock. One
 * process may be two hours ahead and another two hours behind. If the first one removed a use as soon as it expired by
 * its clock, the second one could spend it again.
 */
export const GRACE: number = 2 * MAX_OFFSET;
