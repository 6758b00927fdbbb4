import type { Events } from "../events/types.ts";
import type { RequestInfo } from "../http/types.ts";
import { canonicalSubjects } from "../limits/index.ts";
import type { Subjects } from "../limits/types.ts";
import { HEADER } from "../protocol.ts";
import { assertKeys } from "../util/assertions.ts";
import type { GateOptions, Identity } from "./types.ts";

/** One request, as the parts of the kernel hand it to each other. */
export interface Visit {
  request: Request;
  info: RequestInfo;
  /** Method and pattern, for events. */
  route: string | undefined;
  emit: Events["emit"];
  /** Who the application says it is; asked once a request. */
  identity: Identity | undefined;
}

const NOBODY: Identity = {};

/** What limits and bindings may key on, before any credential. */
export async function whoIs(visit: Visit, identify: GateOptions["identify"], route?: string): Promise<Subjects> {
  if (!visit.identity) {
    const found = identify ? await identify(visit.request) : NOBODY;
    assertKeys("identify", found, ["user", "session", "account", "email", "phone", "device"]);
    visit.identity = found;
  }
  const { user, account, email, phone, session } = visit.identity;
  const { ip, ipPrefix } = visit.info;
  return { ip, "ip-prefix": ipPrefix, device: deviceOf(visit), user, account, session, route, ...canonicalSubjects({ email, phone }) };
}

/** The application's word, else the header, which is a stranger's text: only ever counted beside an address. */
export function deviceOf({ request, identity }: Visit): string | undefined {
  if (identity?.device) return identity.device;
  const header = request.headers.get(HEADER.deviceId);
  return header !== null && /^[A-Za-z0-9._-]{1,64}$/.test(header) ? header : undefined;
}
