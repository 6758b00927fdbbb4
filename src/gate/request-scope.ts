import type { Events } from "../events/types.ts";
import type { RequestInfo } from "../http/types.ts";
import { canonicalSubjects } from "../limits/index.ts";
import type { Subjects } from "../limits/types.ts";
import { HEADER } from "../protocol.ts";
import { assertKeys } from "../util/assertions.ts";
import type { GateOptions, Identity } from "./types.ts";

/** One request and what the kernel knows about it. */
export interface RequestScope {
  request: Request;
  info: RequestInfo;
  /** Method and pattern, for events. */
  route: string | undefined;
  emit: Events["emit"];
  /** The answer of `identify`; undefined until it is asked, which happens once a request. */
  identity: Identity | undefined;
}

const NOBODY: Identity = {};

/** The subjects of a request for limits and bindings, without those of a credential. */
export async function whoIs(requestScope: RequestScope, identify: GateOptions["identify"], route?: string): Promise<Subjects> {
  if (!requestScope.identity) {
    const found = identify ? await identify(requestScope.request) : NOBODY;
    assertKeys("identify", found, ["user", "session", "account", "email", "phone", "device"]);
    requestScope.identity = found;
  }
  const { user, account, email, phone, session } = requestScope.identity;
  const { ip, ipPrefix } = requestScope.info;
  return {
    ip,
    "ip-prefix": ipPrefix,
    device: deviceOf(requestScope),
    user,
    account,
    session,
    route,
    ...canonicalSubjects({ email, phone }),
  };
}

/**
 * The device that the application names, else that of the header. The client chooses the header, so it is only counted
 * together with an address.
 */
export function deviceOf({ request, identity }: RequestScope): string | undefined {
  if (identity?.device) return identity.device;
  const header = request.headers.get(HEADER.deviceId);
  return header !== null && /^[A-Za-z0-9._-]{1,64}$/.test(header) ? header : undefined;
}
