import type { Faults } from "./faults.ts";
import type { TokenBook } from "./tokens.ts";
import type { EmulatorCounts, EmulatorWidget } from "./types.ts";

/** What the parts of one emulator share. */
export interface EmulatorState {
  /** Milliseconds since the epoch, as the virtual clock has it. */
  clock: () => number;
  widgets: readonly EmulatorWidget[];
  tokens: TokenBook;
  faults: Faults;
  counts: EmulatorCounts;
}
