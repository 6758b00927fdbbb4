import { hex } from "../util/bytes.ts";
import { type Cidr, canonicalIp, inCidr, parseCidr } from "../util/ip.ts";

/** What an update comes down to; each list in order, no range in another. */
export interface Plan {
  /** What is known and what is published: in force until the stale ranges may go. Never without what was in force. */
  union: readonly string[];
  /** What is published. */
  target: readonly string[];
  /** Published and not known. */
  added: readonly string[];
  /** In force and no longer published. */
  stale: readonly string[];
}

interface Range extends Cidr {
  text: string;
}

/** What a list of a family must be like. Shorter prefixes would be whole networks of others, longer ones are not routed between networks. */
const FAMILIES = {
  4: {
    least: 5,
    bits: [10, 24],
    // Special purpose, RFC 6890 and its successors: a page of nonsense, or an attacker's, must not open an origin to its own network.
    special: cidrs(
      "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 " +
        "192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3",
    ),
  },
  6: { least: 3, bits: [20, 48], special: cidrs("::/3 4000::/2 8000::/1 2001::/23 2001:db8::/32 2002::/16 3fff::/20") },
} as const;

/** Ranges of a family at most. */
const MOST = 200;
/** Times as many addresses as are known, at most. */
const GROWTH = 4;

/**
 * Reads a published list: a CIDR a line.
 *
 * @throws {RangeError} empty, too few or too many lines, or one that is no public range of this family
 */
export function parseList(text: string, version: 4 | 6): string[] {
  const lines = text.split("\n").map((line) => line.trim());
  const ranges = lines.filter((line) => line !== "").map((line) => readRange(line, version));
  return names(checkCount(ranges, version));
}

/**
 * Reads a state file.
 *
 * @throws {RangeError} it is none, or its ranges would not do as published ones
 */
export function parseState(text: string): string[] {
  const state: unknown = json(text);
  const ranges = typeof state === "object" && state !== null && "v" in state && state.v === 1 && "ranges" in state && state.ranges;
  if (!Array.isArray(ranges)) throw new RangeError('expected { "v": 1, "ranges": [...] }');
  const found = ranges.map((range) => readRange(String(range)));
  for (const version of [4, 6] as const) checkCount(ofFamily(found, version), version);
  return names(found);
}

/** The text of a state file. */
export function formatState(ranges: readonly string[]): string {
  return `${JSON.stringify({ v: 1, ranges }, null, 2)}\n`;
}

/**
 * What to add and what to remove.
 *
 * @param known what is in force @param published both families
 * @throws {RangeError} a family has lost more than half of what is known of it, or grown beyond four times that
 */
export function planUpdate(known: readonly string[], published: readonly string[]): Plan {
  const [before, after] = [read(known), read(published)];
  for (const version of [4, 6] as const) checkChange(ofFamily(before, version), ofFamily(after, version), version);
  const [union, target, old] = [names([...before, ...after]), names(after), names(before)];
  return {
    union,
    target,
    added: target.filter((text) => !old.includes(text)),
    stale: union.filter((text) => !target.includes(text)),
  };
}

/** IPv4 ranges, or IPv6 ranges, of a list. */
export function family(ranges: readonly string[], version: 4 | 6): string[] {
  return ranges.filter((text) => text.includes(":") === (version === 6));
}

function readRange(text: string, version?: 4 | 6): Range {
  // Quoted as JSON: what a stranger published may hold control characters of a terminal.
  const quoted = JSON.stringify(text.slice(0, 60));
  const parsed = text.includes("/") ? parseCidr(text) : null;
  // An IPv4 range in IPv6 spelling is none that anybody publishes.
  const range = parsed && (parsed.version === 6) === text.includes(":") ? parsed : null;
  if (!range || (version !== undefined && range.version !== version))
    throw new RangeError(`${quoted} is no range of IPv${version ?? "4 or 6"}`);
  const { bits, special } = FAMILIES[range.version];
  if (range.bits < bits[0] || range.bits > bits[1]) throw new RangeError(`${quoted} is not of ${bits[0]} to ${bits[1]} bits`);
  const canonical = `${canonicalIp(range)}/${range.bits}`;
  if (!isStart(range)) throw new RangeError(`${quoted} is not the start of its range`);
  if (special.some((one) => inCidr(range, one) || inCidr(one, range))) throw new RangeError(`${quoted} is no public range`);
  return { ...range, text: canonical };
}

function checkCount(ranges: readonly Range[], version: 4 | 6): readonly Range[] {
  const { least } = FAMILIES[version];
  if (ranges.length < least || ranges.length > MOST) {
    throw new RangeError(`${ranges.length} ranges of IPv${version}: expected ${least} to ${MOST}`);
  }
  return ranges;
}

function checkChange(before: readonly Range[], after: readonly Range[], version: 4 | 6): void {
  const kept = before.reduce((sum, range) => sum + covered(range, after), 0);
  if (kept < before.length / 2) {
    throw new RangeError(`only ${Math.floor(kept)} of ${before.length} known ranges of IPv${version} are left: less than half`);
  }
  if (before.length > 0 && size(after) > GROWTH * size(before)) {
    throw new RangeError(`more than ${GROWTH} times as many addresses of IPv${version} as are known`);
  }
}

/** Which part of a range is in `others`, of which none is in another: ranges that were joined or split are not lost. */
function covered(range: Range, others: readonly Range[]): number {
  if (others.some((other) => isIn(range, other))) return 1;
  return others.filter((other) => isIn(other, range)).reduce((sum, { bits }) => sum + 2 ** (range.bits - bits), 0);
}

function size(ranges: readonly Range[]): number {
  return ranges.reduce((sum, { bits }) => sum + 2 ** -bits, 0);
}

function read(list: readonly string[]): Range[] {
  return tidy(list.map((text) => readRange(text)));
}

/** Each once, in order, and none that is in another: sets of nftables refuse those. */
function tidy(ranges: readonly Range[]): Range[] {
  const key = ({ version, bytes, bits }: Range): string => `${version}${hex(bytes)}${String(bits).padStart(3, "0")}`;
  const sorted = [...ranges].sort((a, b) => (key(a) < key(b) ? -1 : 1));
  const kept: Range[] = [];
  for (const range of sorted) if (!kept.some((other) => isIn(range, other))) kept.push(range);
  return kept;
}

function names(ranges: readonly Range[]): string[] {
  return tidy(ranges).map(({ text }) => text);
}

function ofFamily(ranges: readonly Range[], version: 4 | 6): Range[] {
  return ranges.filter((range) => range.version === version);
}

function isIn(inner: Range, outer: Range): boolean {
  return inner.bits >= outer.bits && inCidr(inner, outer);
}

function isStart({ bytes, bits }: Cidr): boolean {
  return bytes.every((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, bits - i * 8)))) === 0);
}

function cidrs(list: string): Cidr[] {
  return list.split(" ").flatMap((text) => parseCidr(text) ?? []);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
