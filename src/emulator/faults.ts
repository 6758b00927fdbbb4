import { assertKeys, assertOneOf } from "../util/assertions.ts";
import type { ChallengeFault, Fault, LoadFault, SiteverifyFault } from "./types.ts";

type Kind = Fault["kind"];
type Place = "siteverify" | "challenge" | "load";

/** Where each fault strikes and what else it takes; a mark of exclamation: must be given. */
const SHAPES: Record<Kind, { place: Place; takes: Record<string, "string" | "number" | "number!" | "boolean"> }> = {
  fail: { place: "siteverify", takes: { code: "string" } },
  delay: { place: "siteverify", takes: { ms: "number!" } },
  hang: { place: "siteverify", takes: {} },
  status: { place: "siteverify", takes: { status: "number" } },
  html: { place: "siteverify", takes: {} },
  oversized: { place: "siteverify", takes: { bytes: "number" } },
  redirect: { place: "siteverify", takes: { to: "string" } },
  drop: { place: "siteverify", takes: {} },
  error: { place: "challenge", takes: { code: "number!", repeat: "number" } },
  interaction: { place: "challenge", takes: { timeout: "number" } },
  expire: { place: "challenge", takes: { after: "number" } },
  slow: { place: "challenge", takes: { ms: "number!" } },
  unsupported: { place: "challenge", takes: {} },
  unresponsive: { place: "challenge", takes: {} },
  "block-frame": { place: "load", takes: {} },
  "block-script": { place: "load", takes: { status: "number" } },
};

/** Faults in line, by place. */
export interface Faults {
  add(fault: Fault): void;
  clear(): void;
  siteverify(): SiteverifyFault | undefined;
  challenge(sitekey: string): ChallengeFault | undefined;
  load(kind: LoadFault["kind"]): LoadFault | undefined;
}

export function createFaults(initial: readonly Fault[] = []): Faults {
  let line: { fault: Fault; left: number }[] = [];
  const take = <F extends Fault>(matches: (fault: Fault) => fault is F): F | undefined => {
    for (const entry of line) {
      const { fault } = entry;
      if (!matches(fault)) continue;
      entry.left -= 1;
      if (entry.left <= 0) line = line.filter((other) => other !== entry);
      return fault;
    }
    return undefined;
  };
  const faults: Faults = {
    add(fault) {
      assertFault(fault);
      line.push({ fault, left: fault.times ?? 1 });
    },
    clear() {
      line = [];
    },
    siteverify: () => take((fault): fault is Fault & SiteverifyFault => SHAPES[fault.kind].place === "siteverify"),
    challenge: (sitekey) =>
      take(
        (fault): fault is Fault & ChallengeFault =>
          SHAPES[fault.kind].place === "challenge" && (!("sitekey" in fault) || (fault.sitekey ?? sitekey) === sitekey),
      ),
    load: (kind) => take((fault): fault is Fault & LoadFault => fault.kind === kind),
  };
  for (const fault of initial) faults.add(fault);
  return faults;
}

/** What the numbers of faults may be; else from 0 on. A fault that strikes no time, and a status that no response can have, would never happen. */
const LIMITS: Readonly<Record<string, readonly [min: number, max: number]>> = { times: [1, 1_000_000], status: [200, 599] };

/** Faults also come over HTTP, from tests that are not type-checked: a misspelt one must not become a fault that never happens. */
function assertFault(fault: Fault): void {
  assertOneOf("kind", fault.kind, Object.keys(SHAPES));
  const { place, takes } = SHAPES[fault.kind];
  const everywhere = place === "siteverify" ? { spend: "boolean" } : place === "challenge" ? { sitekey: "string" } : {};
  const members = Object.entries<string>({ ...takes, ...everywhere, times: "number" });
  assertKeys("fault", fault, ["kind", ...members.map(([name]) => name)]);
  const values = new Map<string, unknown>(Object.entries(fault));
  for (const [name, type] of members) {
    const value = values.get(name);
    if (value === undefined && !type.endsWith("!")) continue;
    const expected = type.replace("!", "");
    const [min, max] = LIMITS[name] ?? [0, Number.MAX_SAFE_INTEGER];
    if (typeof value !== expected || (typeof value === "number" && !(Number.isInteger(value) && value >= min && value <= max))) {
      const range = expected === "number" ? ` from ${min} to ${max}` : "";
      throw new TypeError(`Invalid "${name}" of fault "${fault.kind}": expected a ${expected}${range}, got ${value}`);
    }
  }
}
