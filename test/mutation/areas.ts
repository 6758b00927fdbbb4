/** An area of the sources, and the share of its mutants that the unit tests must detect, in percent. */
export interface Area {
  folder: string;
  goal: number;
}

export const AREAS: Record<string, Area> = {
  clearance: { folder: "src/clearance", goal: 90 },
  tokens: { folder: "src/tokens", goal: 95 },
  store: { folder: "src/store", goal: 95 },
  gate: { folder: "src/gate", goal: 95 },
};

/** What is not mutated: generated files, and what runs in a browser, which the unit tests do not open. */
export const LEFT_OUT: string[] = ["**/*.gen.ts", "**/page/**"];
