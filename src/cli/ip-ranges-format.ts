import { family } from "./ip-ranges-plan.ts";

/** The names of {@link FORMATS}. */
export type Format = "json" | "nginx-realip" | "nginx-allow" | "nginx-geo" | "nftables";

/** How ranges are written. Each is a whole file, and depends on the ranges alone: the same ranges, the same bytes. */
export const FORMATS: { readonly [name in Format]: (ranges: readonly string[]) => string } = {
  json: (ranges) => `${JSON.stringify({ v4: family(ranges, 4), v6: family(ranges, 6) }, null, 2)}\n`,

  // Without real_ip_header nginx would read X-Real-IP, which Cloudflare passes on as the client wrote it.
  "nginx-realip": (ranges) => `${HEADER}${lines(ranges, (range) => `set_real_ip_from ${range};`)}real_ip_header CF-Connecting-IP;\n`,

  // Of the peer's address: beside nginx-realip, which puts the client's in its place, it would refuse everybody. There it takes nginx-geo.
  "nginx-allow": (ranges) => `${HEADER}${lines(ranges, (range) => `allow ${range};`)}deny all;\n`,

  "nginx-geo": (ranges) =>
    `${HEADER}geo $realip_remote_addr $from_cloudflare {\n    default 0;\n${lines(ranges, (range) => `    ${range} 1;`)}}\n`,

  // `nft -f` is one transaction: no packet meets the sets empty, and they end as written here, whatever was in them. Elements added and
  // deleted one by one would fail as a whole at the first that overlaps with, or is missing from, what another run or a reboot left.
  nftables: (ranges) => `${HEADER}add table inet gatepass\n${nftSet(4, ranges)}${nftSet(6, ranges)}`,
};

const HEADER = "# Cloudflare's ranges, kept by: gatepass ip-ranges. What is changed here is overwritten.\n";

/** @throws {RangeError} no format */
export function assertFormat(name: string): asserts name is Format {
  if (!Object.hasOwn(FORMATS, name)) {
    throw new RangeError(`Unknown format ${JSON.stringify(name)}: expected one of ${Object.keys(FORMATS).join(", ")}`);
  }
}

function nftSet(version: 4 | 6, ranges: readonly string[]): string {
  const set = `inet gatepass cloudflare${version}`;
  const elements = lines(family(ranges, version), (range) => `    ${range},`);
  return `add set ${set} { type ipv${version}_addr; flags interval; }\nflush set ${set}\nadd element ${set} {\n${elements}}\n`;
}

function lines(ranges: readonly string[], line: (range: string) => string): string {
  return ranges.map((range) => `${line(range)}\n`).join("");
}
