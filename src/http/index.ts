export { readBody, readJson } from "./body.ts";
export { type ClientAddress, clientAddress, watchSingleAddress } from "./client-address.ts";
export { type Cors, type CorsOptions, createCors, type OriginCheck } from "./cors.ts";
export { type CspDirectives, contentSecurityPolicy } from "./csp.ts";
export { detectPlatform } from "./platform.ts";
export { rateHeaders } from "./rate-headers.ts";
export { jsonResponse, Refusal, type RefusalExtra, refusalResponse, withHeaders } from "./refusal.ts";
export type { ClientIpOption, PeerInfo, Platform, RequestInfo } from "./types.ts";
